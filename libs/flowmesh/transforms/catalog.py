"""All operations by name, in the order of their categories."""

from flowmesh.transforms import programs
from flowmesh.transforms.operation import Operation
from flowmesh.transforms.operations import (
    aggregation,
    arrays,
    control,
    maths,
    objects,
    randoms,
    sequences,
    strings,
)

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
