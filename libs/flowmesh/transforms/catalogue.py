"""All operations by name, in the order of their categories."""

from flowmesh.transforms import (
    aggregation,
    arrays,
    control,
    maths,
    objects,
    programs,
    randoms,
    sequences,
    strings,
)
from flowmesh.transforms.operation import Operation

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        *arrays.OPERATIONS,
        *sequences.OPERATIONS,
        *objects.OPERATIONS,
        *aggregation.OPERATIONS,
        *strings.OPERATIONS,
        *maths.OPERATIONS,
        *randoms.OPERATIONS,
        *control.OPERATIONS,
        *programs.OPERATIONS,
    )
}
