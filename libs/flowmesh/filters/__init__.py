"""The filter grammar of executions, the same over gRPC, REST, the SDK and the command line.

`parse_filter` parses a text to a tree of terms; `parse_order` and `parse_groups` parse the fields
for ordering and counting. The grammar is independent of the storage. FILTER_INVALID names the
character of the error and the expected token.

    filter   = and *( "OR" and )
    and      = not *( "AND" not )
    not      = [ "NOT" ] ( "(" filter ")" / term )
    term     = field ( op value / [ "NOT" ] "IN" "(" value *( "," value ) ")" )
    op       = "=" / "!=" / "<" / "<=" / ">" / ">=" / "^=" / "~"
    value    = text in quotes / word / number / "true" / "false" / "null"
"""

from flowmesh.filters.fields import (
    FAMILIES,
    LABEL_NAME,
    NEEDS,
    Field,
    Kind,
    status_names,
    suggestion,
)
from flowmesh.filters.orders import GROUPS_MAX, Order, parse_groups, parse_order
from flowmesh.filters.parser import parse_filter
from flowmesh.filters.terms import (
    FILTER_BYTES_MAX,
    FILTER_DEPTH_MAX,
    FILTER_TERMS_MAX,
    AllOf,
    AnyOf,
    Filter,
    Instant,
    Not,
    Op,
    Term,
    Value,
)

__all__ = [
    "FAMILIES",
    "FILTER_BYTES_MAX",
    "FILTER_DEPTH_MAX",
    "FILTER_TERMS_MAX",
    "GROUPS_MAX",
    "LABEL_NAME",
    "NEEDS",
    "AllOf",
    "AnyOf",
    "Field",
    "Filter",
    "Instant",
    "Kind",
    "Not",
    "Op",
    "Order",
    "Term",
    "Value",
    "parse_filter",
    "parse_groups",
    "parse_order",
    "status_names",
    "suggestion",
]
