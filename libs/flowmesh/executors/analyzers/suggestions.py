"""Suggestions for a text: length, readability, repetition, title, call to action, keywords."""

from collections import Counter

from flowmesh.contract.json_value import Json

SENTENCE_WORDS_MAX, PARAGRAPH_WORDS_MAX, WORDS_MIN = 28, 150, 30
REPEATED_TIMES, KEYWORDS_MAX, WORD_LENGTH_MIN = 4, 8, 5
TITLE_CHARACTERS_MAX = 100
_ACTIONS = frozenset(
    {"contact", "call", "visit", "read", "try", "start", "join", "sign", "buy",
     "subscribe", "reply"}
)  # fmt: skip
_WEAK = {
    "very": "drop it, or use a stronger word",
    "really": "drop it",
    "utilize": "use",
    "in order to": "to",
    "due to the fact that": "because",
    "at this point in time": "now",
    "a lot of": "many",
}


def suggest(text: str) -> dict[str, Json]:
    """Return suggestions, each with its reason and place in the text, and the keywords."""
    words = [word.strip(".,;:!?\"'()[]").lower() for word in text.split()]
    found = [*_sentences(text), *_paragraphs(text), *_phrases(text), *_whole(text, words)]
    counted = Counter(word for word in words if len(word) >= WORD_LENGTH_MIN)
    for word, times in counted.most_common(KEYWORDS_MAX):
        if times >= REPEATED_TIMES and times / len(words) > 0.03:
            start = text.lower().find(word)
            found.append(
                _suggestion("repetition", f"{word!r} stands {times} times", start, len(word))
            )
    keywords = [word for word, _ in counted.most_common(KEYWORDS_MAX)]
    return {"suggestions": found, "keywords": keywords, "words": len(words)}


def _sentences(text: str) -> list[dict[str, Json]]:
    found, start = [], 0
    for end, character in enumerate(f"{text}."):
        if character in ".!?":
            count = len(text[start:end].split())
            if count > SENTENCE_WORDS_MAX:
                reason = f"a sentence of {count} words; split it"
                found.append(_suggestion("readability", reason, start, end - start))
            start = end + 1
    return found


def _paragraphs(text: str) -> list[dict[str, Json]]:
    found, start = [], 0
    for paragraph in text.split("\n\n"):
        count = len(paragraph.split())
        if count > PARAGRAPH_WORDS_MAX:
            reason = f"a paragraph of {count} words; split it"
            found.append(_suggestion("length", reason, start, len(paragraph)))
        start += len(paragraph) + 2
    return found


def _phrases(text: str) -> list[dict[str, Json]]:
    lower = f" {text.lower()} "
    return [
        _suggestion("wording", f"{phrase!r}: {better}", at, len(phrase))
        for phrase, better in _WEAK.items()
        if (at := lower.find(f" {phrase} ")) >= 0
    ]


def _whole(text: str, words: list[str]) -> list[dict[str, Json]]:
    found = []
    title = text.strip().partition("\n")[0]
    if len(words) > WORDS_MIN and (len(title) > TITLE_CHARACTERS_MAX or title.endswith(".")):
        found.append(_suggestion("title", "the first line is no title; add a short one", 0, 0))
    if len(words) > WORDS_MIN and not _ACTIONS & set(words):
        reason = "it does not say what the reader is to do"
        found.append(_suggestion("action", reason, len(text), 0))
    if len(words) < WORDS_MIN:
        reason = f"{len(words)} words; at least {WORDS_MIN} inform a reader"
        found.append(_suggestion("length", reason, 0, len(text)))
    return found


def _suggestion(kind: str, reason: str, start: int, length: int) -> dict[str, Json]:
    return {"kind": kind, "reason": reason, "start": max(0, start), "length": length}
