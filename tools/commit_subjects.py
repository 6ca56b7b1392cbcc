"""Check commit messages: `area: imperative subject`, at most 72 characters, and a body.

Without arguments, check all commits since the last release tag, or since the introduction of this
check; `--message FILE` checks a single message, as git hooks do.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUBJECT_MAX = 72
SUBJECT = re.compile(r"[a-z][a-z0-9+_./-]*(, [a-z][a-z0-9+_./-]*)*: [a-z`].*[^.]")
GENERATED = ("Merge ", "Revert ")
NO_IMPERATIVE = re.compile(
    r"(added|adds|adding|fixed|fixes|fixing|changed|changes|removed|removes|moved|moves|renamed"
    r"|renames|made|makes|the|a|an|what|who|how|where|when|which|whether)\b"
)


def problems(message: str) -> Iterator[str]:
    """Yield the problems of a commit message."""
    subject, _, body = message.partition("\n")
    if subject.startswith(GENERATED):
        return
    if len(subject) > SUBJECT_MAX:
        yield f"the subject has {len(subject)} characters, at most {SUBJECT_MAX} are allowed"
    if not SUBJECT.fullmatch(subject):
        yield "the subject is not `area: imperative subject` without a full stop"
    elif NO_IMPERATIVE.match(subject.partition(": ")[2]):
        yield "the subject does not begin with a verb in the imperative (add, fix, move, ...)"
    if not body.strip():
        yield "the body is missing: give the reason"


def _git(*arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def _since() -> str:
    """Return the last release tag, or the commit that added this check."""
    tags = _git("tag", "--list", "v*", "--merged", "HEAD", "--sort=-creatordate").split()
    if tags:
        return tags[0]
    added = _git("log", "--diff-filter=A", "--format=%H", "--", "tools/commit_subjects.py").split()
    return added[-1] if added else "HEAD"


def main() -> int:
    if sys.argv[1:2] == ["--message"]:
        lines = Path(sys.argv[2]).read_text().splitlines()
        text = "\n".join(line for line in lines if not line.startswith("#")).strip()
        checked = [("message", text)]
    else:
        log = _git("log", "--no-merges", "--format=%h%x00%B%x01", f"{_since()}..HEAD")
        entries = (entry.strip() for entry in log.split("\x01"))
        checked = [tuple(entry.split("\0", 1)) for entry in entries if entry]  # type: ignore[misc]
    found = [f"{name}: {problem}" for name, text in checked for problem in problems(text.strip())]
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
