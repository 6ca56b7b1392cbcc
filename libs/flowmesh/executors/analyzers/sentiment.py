"""Sentiment by a lexicon of words with weights, negation and emphasis."""

import math

from flowmesh.contract.json_value import Json

_POSITIVE = """
amazing 3 appreciate 2 awesome 3 beautiful 3 best 3 better 2 brilliant 3 calm 1 clean 2 clear 1
comfortable 2 delight 3 delighted 3 easy 2 enjoy 2 enjoyed 2 excellent 3 fantastic 3 fast 1
fine 1 flawless 3 friendly 2 fun 2 glad 2 good 2 grateful 2 great 3 happy 3 helpful 2
impressed 3 impressive 2 improved 2 incredible 3 kind 2 like 1 liked 1 love 3 loved 3 lovely 3
nice 2 outstanding 3 perfect 3 pleasant 2 pleased 2 polite 2 quick 1 recommend 2 reliable 2
resolved 1 safe 1 satisfied 2 smooth 2 stunning 3 success 2 superb 3 support 1 thank 2 thanks 2
thrilled 3 useful 2 welcome 2 wonderful 3 works 1 worth 2
"""
_NEGATIVE = """
abuse 3 angry 3 annoyed 2 annoying 2 awful 3 bad 2 bored 2 boring 2 broke 2 broken 2 bug 1
buggy 2 cancel 1 cheated 3 complain 2 complaint 2 confusing 2 crash 2 crashed 2 damaged 2
defective 3 delay 1 delayed 1 difficult 1 dirty 2 disappointed 3 disappointing 3 disaster 3
dislike 2 error 1 expensive 1 fail 2 failed 2 failure 2 faulty 2 frustrated 3 frustrating 3
garbage 3 hate 3 hated 3 horrible 3 ignored 2 impossible 2 issue 1 lost 2 mess 2 missing 1
never 1 nightmare 3 pain 2 pathetic 3 poor 2 problem 1 refund 1 regret 2 ridiculous 2 rude 3
sad 2 scam 3 slow 2 sorry 1 stupid 3 terrible 3 trouble 2 ugly 2 unacceptable 3 unfair 2
unhappy 3 unreliable 3 unusable 3 upset 2 useless 3 waste 2 worse 3 worst 3 wrong 2
"""
_NEGATIONS = frozenset(
    {"not", "no", "never", "none", "nobody", "cannot", "can't", "don't", "doesn't", "didn't",
     "isn't", "wasn't", "won't", "aren't", "without"}
)  # fmt: skip
_EMPHASIS = frozenset(
    {"very", "really", "extremely", "so", "absolutely", "totally", "incredibly", "highly"}
)
# A negated word counts against its sense, but less than its opposite.
NEGATED, EMPHASIZED, EXCLAIMED = -0.74, 1.4, 1.1
# Words before one that change it; the sum at which a score is about 0.7; the neutral range.
BEFORE, SATURATION, NEUTRAL = 3, 15.0, 0.05
EVIDENCE_MAX = 20


def _weights() -> dict[str, int]:
    found: dict[str, int] = {}
    for text, sign in ((_POSITIVE, 1), (_NEGATIVE, -1)):
        words = text.split()
        pairs = zip(words[::2], words[1::2], strict=True)
        found |= {word: sign * int(weight) for word, weight in pairs}
    return found


_WEIGHTS = _weights()


def sentiment(text: str) -> dict[str, Json]:
    """Return label, score from -1 to 1, and the words that decided."""
    total, evidence = 0.0, list[Json]()
    before: list[str] = []
    for raw in text.replace("’", "'").split():
        word = raw.strip(".,;:!?\"'()[]").lower()
        weight = float(_WEIGHTS.get(word, 0)) if word not in _NEGATIONS else 0.0
        if any(each in _EMPHASIS for each in before):
            weight *= EMPHASIZED
        if any(each in _NEGATIONS for each in before):
            weight *= NEGATED
        if weight:
            total += weight
            evidence.append({"word": word, "weight": round(weight, 2)})
        # A mark ends what words before it change.
        before = [] if raw[-1] in ".,;:!?" else [*before, word][-BEFORE:]
    if "!" in text:
        total *= EXCLAIMED
    score = round(total / math.sqrt(total * total + SATURATION), 4)
    label = "neutral" if abs(score) < NEUTRAL else "positive" if score > 0 else "negative"
    return {"label": label, "score": score, "evidence": evidence[:EVIDENCE_MAX]}
