"""The words that the rules know: verbs that start a step, synonyms, words without meaning."""

_VERBS = """
add alert analyse analyze archive assign authorize backup bill book build calculate call cancel
capture charge check classify clean collect compile compress compute confirm convert copy create
credit debit deduct delete deliver deploy detect download email encrypt enrich escalate evaluate
execute export extract fetch file fill filter find flag forward generate get give grade greet
hold import index inform insert inspect invite invoice issue keep label load log look mail make
mark measure merge message move notify open order pack parse pay pick ping post prepare print
process provision publish pull push query queue read receive reconcile record refund register
reject release reload remind remove render repair replace report request reserve reset resize
restart restore retrieve return review rotate route run save scan schedule score search select
send set ship shut sign sort split start stop store submit subscribe summarise summarize suspend
sync tag test text total train transcode transfer transform translate unlock unsubscribe update
upload validate verify warn write
"""
VERBS = frozenset(_VERBS.split())
SYNONYMS = {
    "bill": "charge", "debit": "charge", "pay": "charge", "payment": "charge", "card": "charge",
    "mail": "email", "message": "email", "notify": "email", "inform": "email", "stock": "inventory",
    "availability": "inventory", "parcel": "shipment", "ship": "shipment", "shipping": "shipment",
    "deliver": "shipment", "dispatch": "shipment", "repay": "refund",
}  # fmt: skip
_STOP_WORDS = """
a an and any are as at be by create do for from has have he her his i in into is it its me must
my new of off on or our out please she should so that the their them then there they this
through to us using via was we which who will with workflow you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "twice": 2, "once": 1,
}  # fmt: skip
UNITS = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "day": "d"}
_ENDINGS = (("ies", "y"), ("ings", ""), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""))


def stem(word: str) -> str:
    """Return a word without the endings of English, in lower case, as its synonym."""
    found = word.lower()
    found = SYNONYMS.get(found, found)
    for ending, kept in (
        ("ies", "y"),
        ("ings", ""),
        ("ing", ""),
        ("ed", ""),
        ("es", ""),
        ("s", ""),
    ):
        if found.endswith(ending) and len(found) - len(ending) >= 3 and not found.endswith("ss"):
            found = found[: -len(ending)] + kept
            break
    found = found.rstrip("e") if len(found) > 3 else found
    return SYNONYMS.get(found, found)


def number_of(text: str) -> int | None:
    """Return a number in digits or as a word."""
    return NUMBERS.get(text.lower()) if not text.isdecimal() else int(text)
