/* A chain of tasks whose repeatable ones are sent before their cause is committed, as in
 * services/flowmesh/orchestrator/{commit,dispatch}: one execution, an owner that may die, commits
 * that may fail, and workers that answer late and in any order.
 *
 * Each run of a task has a value of its own and names the value it was given. What is stored must be
 * a chain, and a task that is not repeatable must be given what is stored. Each macro NO_* takes one
 * guard away, and must break an assertion.
 */
#define TASKS 3
#define REPEATABLE(k) ((k) < 2)
#define DELIVERIES 4
#define NONE 255
#define VALUES 5
#ifndef FAULTS
#define FAULTS 2
#endif

/* The database: one value for each task that has ended. */
byte length = 0;
byte stored[TASKS];

/* Deliveries: the task, the value it was given, the mark of its token (0: none, as the cause was
 * committed), and the value of its run, 0 before it. */
byte task[DELIVERIES] = NONE;
byte given[DELIVERIES];
byte marked_by[DELIVERIES];
byte marked_as[DELIVERIES];
byte value[DELIVERIES];
byte runs = 0;

/* The memory of the owner: how many results are committed, in the open commit, and decided; their
 * values; of each task its lease with the mark, and a result that waits for its turn. */
byte incarnation = 1;
byte marks = 0;
byte committed = 0;
byte open = 0;
byte decided = 0;
byte output[TASKS];
bool leased[TASKS];
byte lease_mark[TASKS];
byte waits[TASKS];
byte waits_given[TASKS];
mtype = { none, sent, applied, failed };
mtype commit = none;
byte faults = 0;

#define FREE (task[0] == NONE || task[1] == NONE || task[2] == NONE || task[3] == NONE)
#define GIVEN(k) ((k) == 0 -> 0 : output[(k) - 1])

inline any_delivery() {
	if
	:: s = 0
	:: s = 1
	:: s = 2
	:: s = 3
	fi
}

inline deliver(k, mark) {
	s = 0;
	do
	:: task[s] != NONE -> s++
	:: else -> break
	od;
	task[s] = k;
	given[s] = GIVEN(k);
	marked_by[s] = (mark == 0 -> 0 : incarnation);
	marked_as[s] = mark;
	value[s] = 0;
	leased[k] = true;
	lease_mark[k] = mark;
	s = 0
}

inline forget_delivery() {
	task[s] = NONE;
	given[s] = 0;
	marked_by[s] = 0;
	marked_as[s] = 0;
	value[s] = 0
}

/* Drop what came of events after the last one that is committed. */
inline take_back() {
	k = 0;
	do
	:: k < TASKS ->
		if
		:: k >= committed -> output[k] = 0
		:: else
		fi;
		if
		:: k > committed ->
#ifndef NO_RECALL
			leased[k] = false;
			lease_mark[k] = 0;
#endif
#ifndef NO_VOID
			waits[k] = 0;
			waits_given[k] = 0
#endif
			skip
		:: else
		fi;
		k++
	:: else -> break
	od;
	decided = committed;
	k = 0
}

active proctype Database() {
	byte k;
	do
	:: atomic { commit == sent ->
		k = length;
		do
		:: k < open ->
			stored[k] = output[k];
			k++
		:: else -> break
		od;
		length = open;
		commit = applied;
		k = 0 }
	:: atomic { commit == sent && faults < FAULTS ->
		faults++;
		commit = failed }
	od
}

active proctype Workers() {
	byte s;
	do
	:: atomic { runs < VALUES ->
		any_delivery();
		if
		:: task[s] != NONE && value[s] == 0 ->
			/* What is not repeatable runs with what is stored. */
			assert(REPEATABLE(task[s]) ||
				(length >= task[s] && given[s] == stored[task[s] - 1]));
			runs++;
			value[s] = runs
		:: else
		fi;
		s = 0 }
	/* A delivery or its result is lost; its lease ends with it. */
	:: atomic { faults < FAULTS ->
		any_delivery();
		if
		:: task[s] != NONE ->
			faults++;
			if
			:: leased[task[s]] && lease_mark[task[s]] == marked_as[s] ->
				leased[task[s]] = false;
				lease_mark[task[s]] = 0
			:: else
			fi;
			forget_delivery()
		:: else
		fi;
		s = 0 }
	od
}

active proctype Owner() {
	byte k;
	byte s;
	do
	/* A result arrives: it counts if the token is that of an attempt, or, with a mark, if the lease
	 * with that mark exists. */
	:: atomic {
		any_delivery();
		if
		:: task[s] != NONE && value[s] != 0 ->
			k = task[s];
			if
#ifdef NO_MARK
			:: waits[k] == 0 ->
#else
			:: waits[k] == 0 && (marked_as[s] == 0 ||
#ifndef NO_INCARNATION
				marked_by[s] == incarnation &&
#endif
				leased[k] && lease_mark[k] == marked_as[s]) ->
#endif
				waits[k] = value[s];
				waits_given[k] = given[s];
				leased[k] = false;
				lease_mark[k] = 0
			:: else
			fi;
			forget_delivery();
			k = 0
		:: else
		fi;
		s = 0 }

	/* The result of the task that runs is decided, beside a commit or not; what is repeatable and
	 * follows it is sent. Others are late. */
	:: atomic { decided < TASKS && waits[decided] != 0 ->
		output[decided] = waits[decided];
		/* The result follows from what the history has before it. */
		assert(waits_given[decided] == GIVEN(decided));
		waits[decided] = 0;
		waits_given[decided] = 0;
		decided++;
		if
		:: decided < TASKS && FREE && !leased[decided] &&
#ifndef NO_REPEATABLE_ONLY
			REPEATABLE(decided) &&
#endif
			waits[decided] == 0 ->
			marks++;
			deliver(decided, marks)
		:: else
		fi }

	/* All that is decided is committed together, one commit at a time. */
	:: atomic { commit == none && decided > committed ->
		open = decided;
		commit = sent }
	:: atomic { commit == applied ->
		committed = open;
		open = 0;
		commit = none }
	:: atomic { commit == failed ->
		open = 0;
		commit = none;
		take_back() }

	/* A task without a lease is sent when its cause is committed. */
	:: atomic { decided == committed && decided < TASKS && !leased[decided] &&
		waits[decided] == 0 && FREE ->
		deliver(decided, 0) }

	/* Death; the next owner knows what is stored. A statement of the former one is refused. */
	:: atomic { faults < FAULTS ->
		faults++;
		incarnation++;
		marks = 0;
		commit = none;
		open = 0;
		committed = length;
		k = 0;
		do
		:: k < TASKS ->
			leased[k] = false;
			lease_mark[k] = 0;
			waits[k] = 0;
			waits_given[k] = 0;
			output[k] = (k < length -> stored[k] : 0);
			k++
		:: else -> break
		od;
		k = 0;
		decided = committed }
	od
}
