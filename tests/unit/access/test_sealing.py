"""Values that one holder of a key opens, at their place only."""

import pytest

from flowmesh.access.sealing import Imports, ReceivingKey, SealBroken, Sealer, seal_for
from flowmesh.errors import Invalid, WrongState


def test_what_is_sealed_for_a_key_opens_with_its_private_half() -> None:
    """Also in another process; not at another place, and not with another key."""
    key = ReceivingKey()
    sealed = seal_for(key.public, b"secret", "here")
    assert b"secret" not in sealed
    assert key.open(sealed, "here") == ReceivingKey(key.private).open(sealed, "here") == b"secret"
    for other, place in ((key, "there"), (ReceivingKey(), "here")):
        with pytest.raises(SealBroken):
            other.open(sealed, place)
    with pytest.raises(Invalid, match="no public key"):
        seal_for(b"short", b"secret", "here")


def test_an_import_opens_what_was_sealed_for_it() -> None:
    """By its id and namespace; another installation cannot use its key."""
    imports = Imports(Sealer(bytes(32)), "secrets", refused="IMPORT_REFUSED")
    made = imports.prepare("a")
    sealed = seal_for(made.public, b"secret", "secret of a")

    def opened(by: Imports, namespace: str, id: str) -> bytes:
        return by.opened(namespace, id, made.sealed, sealed, "secret of a")

    assert opened(imports, "a", made.id) == b"secret"
    foreign = Imports(Sealer(b"k" * 32), "secrets", refused="IMPORT_REFUSED")
    for by, namespace, id in (
        (imports, "b", made.id),
        (imports, "a", "0"),
        (foreign, "a", made.id),
    ):
        with pytest.raises(WrongState) as refused:
            opened(by, namespace, id)
        assert refused.value.reason == "IMPORT_REFUSED"
