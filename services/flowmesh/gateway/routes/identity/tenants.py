"""Companies, organizations and projects."""

from typing import Any

from flowmesh.api.identity.v1 import tenant_service_pb2 as pb
from flowmesh.gateway.bodies import identity_answers as answers
from flowmesh.gateway.bodies import identity_requests as bodies
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body, Route
from flowmesh.gateway.routes.common import IDEMPOTENCY_KEY, PAGING
from flowmesh.gateway.routes.identity.etags import IF_MATCH
from flowmesh.gateway.routes.rpc_route import rpc_route


def _level(
    name: str, plural: str, above: str, shape: Any, listed: Any, body: Any, summaries: list[str]
) -> tuple[Route, ...]:
    """Return the routes that create, list, get, change and delete a level of the hierarchy."""
    made, found, got, changed, gone = summaries
    collection = f"/api/v1/{above}{plural}"
    one, kind = f"/api/v1/{plural}/{{{name}Id}}", name.capitalize()
    return (
        rpc_route(
            "POST",
            collection,
            getattr(pb, f"Create{kind}Request"),
            part=name,
            tagged=True,
            tag=ADMINISTER,
            summary=made,
            body=Body(body),
            headers=(IDEMPOTENCY_KEY,),
            answers=(Answer(201, "The new object, with its `ETag`.", shape),),
            errors=(409,),
        ),
        rpc_route(
            "GET",
            collection,
            getattr(pb, f"List{plural.capitalize()}Request"),
            tag=ADMINISTER,
            summary=found,
            query=PAGING,
            answers=(Answer(200, "Sorted by slug.", listed),),
        ),
        rpc_route(
            "GET",
            one,
            getattr(pb, f"Get{kind}Request"),
            part=name,
            tagged=True,
            tag=ADMINISTER,
            summary=got,
            answers=(Answer(200, "Found; `ETag` is for `If-Match`.", shape),),
        ),
        rpc_route(
            "PATCH",
            one,
            getattr(pb, f"Update{kind}Request"),
            part=name,
            tagged=True,
            tag=ADMINISTER,
            summary=changed,
            body=Body(bodies.UpdateRequest),
            headers=(IF_MATCH,),
            answers=(Answer(200, "The changed object, with its `ETag`.", shape),),
            errors=(409,),
        ),
        rpc_route(
            "DELETE",
            one,
            getattr(pb, f"Delete{kind}Request"),
            tag=ADMINISTER,
            summary=gone,
            description="Its data is erased after 30 days; its keys end at once.",
            headers=(IF_MATCH,),
            answers=(Answer(204, "Deleted."),),
            errors=(409,),
        ),
    )


ROUTES = (
    *_level(
        "company",
        "companies",
        "",
        answers.CompanyValue,
        answers.CompanyList,
        bodies.CreateRequest,
        [
            "Create a company, owned by the caller",
            "List companies",
            "Get a company",
            "Change a company",
            "Delete a company and all below it",
        ],
    ),
    *_level(
        "organization",
        "organizations",
        "companies/{companyId}/",
        answers.OrganizationValue,
        answers.OrganizationList,
        bodies.CreateRequest,
        [
            "Create an organization",
            "List the organizations of a company",
            "Get an organization",
            "Change an organization",
            "Delete an organization and all below it",
        ],
    ),
    *_level(
        "project",
        "projects",
        "organizations/{organizationId}/",
        answers.ProjectValue,
        answers.ProjectList,
        bodies.CreateProjectRequest,
        [
            "Create a project and its namespace",
            "List the projects of an organization",
            "Get a project",
            "Change a project",
            "Delete a project and its namespace",
        ],
    ),
)
