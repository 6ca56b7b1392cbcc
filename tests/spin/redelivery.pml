/* Redelivery of one message of a queue, as in services/flowmesh/broker/consuming: JetStream keeps
 * the message and counts deliveries, two sessions of consumers pull it, settle it or end.
 *
 * Each macro NO_* takes one guard away, and must break an assertion. A delivery that is returned
 * unseen, since the session of its pull has just ended, costs an attempt: JetStream counts it.
 */
#define SESSIONS 2
#define ATTEMPTS_MAX 2
#ifndef ENDS
#define ENDS 3
#endif

/* The server: the message is stored, waits for a pull, or is in flight until its timeout. */
bool stored = true;
bool ready = true;
byte attempt = 0;
bool dead_letter = false;
bool acknowledged = false;

/* A session: its open pull; the attempt in its inbox, and the one that its consumer has. */
bool pulling[SESSIONS];
byte arrived[SESSIONS];
byte flying[SESSIONS];
bool serving[SESSIONS];

/* Attempts that consumers got, deliveries returned unseen, deaths of the service. */
byte handed = 0;
byte released = 0;
byte deaths = 0;
byte ends = 0;

#define FLIES (flying[0] == attempt || flying[1] == attempt)
#define WAITS (arrived[0] == attempt || arrived[1] == attempt)

/* The letter is stored first; it has the position of the message, so a second one replaces it. */
inline bury() {
#ifdef NO_LETTER_FIRST
	stored = false;
	assert(acknowledged);
	dead_letter = true
#else
	dead_letter = true;
	stored = false
#endif
}

/* The message is returned, unless a timeout has returned it and it was delivered again. */
inline return_to_queue(number) {
	if
	:: stored && number == attempt -> ready = true
	:: else
	fi
}

inline fail_attempt(number) {
	if
	:: stored && number >= ATTEMPTS_MAX -> bury()
	:: else -> return_to_queue(number)
	fi
}

active proctype Server() {
	byte s;
	do
	:: atomic { stored && ready && (pulling[0] || pulling[1]) ->
		if
		:: pulling[0] -> s = 0
		:: pulling[1] -> s = 1
		fi;
		/* An attempt that no consumer got was returned unseen, or lost with the service. */
		assert(attempt <= handed + released + deaths);
		attempt++;
		ready = false;
		arrived[s] = attempt;
		pulling[s] = false;
		s = 0 }
	/* The visibility timeout of a delivery that a consumer has. */
	:: atomic { stored && !ready && FLIES && ends < ENDS -> ends++; ready = true }
	/* Of one that no session has, the death of the service is the only reason. */
	:: atomic { stored && !ready && !FLIES && !WAITS -> assert(deaths > 0); ready = true }
	od
}

active [SESSIONS] proctype Session() {
	byte i = _pid - 1;
	serving[i] = true;
	do
	:: atomic { serving[i] && !pulling[i] && arrived[i] == 0 && flying[i] == 0 -> pulling[i] = true }

	/* A delivery goes to the consumer, unless its attempts are used up. */
	:: atomic { serving[i] && arrived[i] != 0 ->
		if
#ifdef NO_ADMISSION
		:: true ->
#else
		:: arrived[i] <= ATTEMPTS_MAX ->
#endif
			flying[i] = arrived[i];
			handed++;
			assert(flying[i] <= ATTEMPTS_MAX)
#ifndef NO_ADMISSION
		:: else -> bury()
#endif
		fi;
		arrived[i] = 0 }

	/* The consumer acknowledges, also too late; or the attempt fails. */
	:: atomic { serving[i] && flying[i] != 0 ->
		acknowledged = true;
		stored = false;
		flying[i] = 0 }
	:: atomic { serving[i] && flying[i] != 0 ->
		fail_attempt(flying[i]);
		flying[i] = 0 }

	/* The end of the stream: the pull ends first, then what arrived is returned, and what the
	 * consumer had fails its attempt. */
	:: serving[i] && ends < ENDS ->
		atomic { serving[i] = false; ends++ };
#ifndef NO_DRAIN
		atomic { pulling[i] = false };
#endif
		atomic {
			if
			:: arrived[i] != 0 -> released++; return_to_queue(arrived[i])
			:: else
			fi;
			arrived[i] = 0 };
		atomic {
#ifndef NO_ABANDON
			if
			:: flying[i] != 0 -> fail_attempt(flying[i])
			:: else
			fi;
#endif
			flying[i] = 0 };
		atomic { pulling[i] = false; arrived[i] = 0; serving[i] = true }

	/* The service dies: nothing is returned, the timeout does. */
	:: atomic { ends < ENDS ->
		ends++;
		deaths++;
		pulling[i] = false;
		arrived[i] = 0;
		flying[i] = 0 }
	od
}
