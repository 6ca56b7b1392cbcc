/* Ownership of one partition and the commits to it, as in
 * services/flowmesh/orchestrator/{ownership,commit}: two orchestrators, one database, and commands
 * that a caller sends again until one is acknowledged.
 *
 * A process owns the partition by an epoch, and each commit states it. Statements outlive the
 * process that sent them. Each macro NO_* takes one guard away, and must break an assertion.
 */
#define OWNERS 2
#define COMMANDS 2
#define STATEMENTS 3
#define NONE 255
#ifndef FAULTS
#define FAULTS 3
#endif

/* The database. */
byte epoch = 1;
byte owner = NONE;
bool leased[OWNERS];
bool stored[COMMANDS];

/* Statements on their way to the database; `listener` waits for the reply. */
byte statement[STATEMENTS] = NONE;
byte statement_epoch[STATEMENTS];
byte listener[STATEMENTS] = NONE;

/* The memory of an orchestrator: its epoch, 0 without the partition; its lease by its own clock;
 * its copy of what is stored; the command of its open commit, and the reply to it. */
byte held[OWNERS];
bool valid[OWNERS];
bool known[4];
byte pending[OWNERS] = NONE;
mtype = { waiting, committed, fenced };
mtype reply[OWNERS] = waiting;

/* Callers, and the number of faults and hand-overs so far. */
bool acknowledged[COMMANDS];
byte faults = 0;

#define KNOWN(i, command) known[(i) * COMMANDS + (command)]

inline forget(i) {
	held[i] = 0;
	KNOWN(i, 0) = false;
	KNOWN(i, 1) = false
}

inline load(i) {
	KNOWN(i, 0) = stored[0];
	KNOWN(i, 1) = stored[1]
}

/* The reply to the open commit of `i` is heard by nobody. */
inline hang_up(i) {
	s = 0;
	do
	:: s < STATEMENTS ->
		if
		:: listener[s] == i -> listener[s] = NONE
		:: else
		fi;
		s++
	:: else -> break
	od;
	s = 0;
	pending[i] = NONE;
	reply[i] = waiting
}

inline acknowledge(command) {
	assert(stored[command]);
	acknowledged[command] = true
}

/* An answer from memory shows everything that was acknowledged. */
inline answer_from_memory(i) {
	assert(!acknowledged[0] || KNOWN(i, 0));
	assert(!acknowledged[1] || KNOWN(i, 1))
}

active proctype Database() {
	byte s;
	do
	:: atomic {
		if
		:: statement[0] != NONE -> s = 0
		:: statement[1] != NONE -> s = 1
		:: statement[2] != NONE -> s = 2
		fi;
		if
#ifdef NO_EPOCH_CHECK
		:: true ->
#else
		:: statement_epoch[s] == epoch ->
#endif
			/* A command is in the history once. */
			assert(!stored[statement[s]]);
			stored[statement[s]] = true;
			if
			:: listener[s] != NONE -> reply[listener[s]] = committed
			:: else
			fi
#ifndef NO_EPOCH_CHECK
		:: else ->
			if
			:: listener[s] != NONE -> reply[listener[s]] = fenced
			:: else
			fi
#endif
		fi;
		statement[s] = NONE;
		listener[s] = NONE;
		s = 0 }
	od
}

/* Time: a lease ends by the clock of its owner first, since it counts from the question. */
active proctype Time() {
	byte i;
	do
	:: atomic { faults < FAULTS ->
		faults++;
		if
		:: i = 0
		:: i = 1
		fi;
		valid[i] = false;
		if
		:: leased[i] = false
		:: skip
		fi;
		i = 0 }
	od
}

active [OWNERS] proctype Orchestrator() {
	byte i = _pid - 2;
	byte command;
	byte s;
	byte claimed;
	do
	/* Renewal: what another one has by now is dropped before the lease is extended. */
	:: atomic { !valid[i] ->
		leased[i] = true;
#ifndef NO_DROP
		if
		:: held[i] != 0 && epoch > held[i] -> forget(i)
		:: else
		fi;
#endif
		valid[i] = true }

	/* Claim of a partition without an owner, or with one whose lease has ended; the rows are read
	 * under the raised epoch. */
#ifdef NO_LOAD_AFTER_CLAIM
	:: atomic { valid[i] && held[i] == 0 && pending[i] == NONE -> load(i) };
#else
	:: valid[i] && held[i] == 0 && pending[i] == NONE;
#endif
		atomic {
		if
		:: owner == NONE || (owner != i && !leased[owner]) ->
#ifndef NO_RAISE
			epoch++;
#endif
			owner = i;
			claimed = epoch
		:: else
		fi };
		atomic {
		if
		:: claimed != 0 && valid[i] ->
#ifndef NO_LOAD_AFTER_CLAIM
			load(i);
#endif
			held[i] = claimed
		:: else
		fi;
		claimed = 0 }

	/* A partition that was handed over to this one, and is found at a renewal. */
	:: atomic { valid[i] && held[i] == 0 && pending[i] == NONE && owner == i ->
		load(i);
		held[i] = epoch }

	/* A command is decided on memory: it changes the state, or is answered from it. */
	:: atomic { held[i] != 0 && pending[i] == NONE &&
		(statement[0] == NONE || statement[1] == NONE || statement[2] == NONE) ->
		if
		:: command = 0
		:: command = 1
		fi;
		if
		:: KNOWN(i, command) ->
			if
#ifdef NO_LEASE_CHECK
			:: true -> answer_from_memory(i)
#else
			:: valid[i] -> answer_from_memory(i)
			:: else
#endif
			fi
		:: else ->
			s = 0;
			do
			:: statement[s] != NONE -> s++
			:: else -> break
			od;
			statement[s] = command;
			statement_epoch[s] = held[i];
			listener[s] = i;
			pending[i] = command;
			reply[i] = waiting;
			s = 0
#ifdef NO_WAIT_FOR_COMMIT
			; acknowledge(command)
#endif
		fi;
		command = 0 }

	:: atomic { pending[i] != NONE && reply[i] == committed ->
		acknowledge(pending[i]);
		if
		:: held[i] != 0 -> KNOWN(i, pending[i]) = true
		:: else
		fi;
		pending[i] = NONE;
		reply[i] = waiting }
	:: atomic { pending[i] != NONE && reply[i] == fenced ->
		forget(i);
		pending[i] = NONE;
		reply[i] = waiting }

	/* The connection breaks: the outcome is unknown, and the statement may still arrive. The
	 * process continues as a new incarnation, from the rows, under an epoch of its own. */
	:: atomic { pending[i] != NONE && faults < FAULTS ->
		faults++;
		hang_up(i);
#ifndef NO_NEW_INCARNATION
		forget(i);
		if
		:: owner == i -> owner = NONE
		:: else
		fi
#endif
		}

	/* Hand-over: dropped from memory, no commit open, then the row. The wait for the commit only
	 * spares a fenced one: no assertion needs it. */
	:: atomic { held[i] != 0 && faults < FAULTS && pending[i] == NONE ->
		faults++;
		if
		:: owner == i && epoch == held[i] ->
#ifndef NO_RAISE
			epoch++;
#endif
			owner = 1 - i
		:: else
		fi;
		forget(i) }

	/* Death, and a restart in the same folder. */
	:: atomic { faults < FAULTS ->
		faults++;
		forget(i);
		hang_up(i);
		valid[i] = false;
		leased[i] = false;
		if
		:: owner == i -> owner = NONE
		:: else
		fi }
	od
}
