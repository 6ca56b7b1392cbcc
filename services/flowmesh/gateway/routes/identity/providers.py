"""Identity providers of companies."""

from flowmesh.api.identity.v1 import provider_service_pb2 as pb
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body
from flowmesh.gateway.routes.identity import provider_bodies as bodies
from flowmesh.gateway.routes.identity.etags import IF_MATCH
from flowmesh.gateway.routes.rpc_route import rpc_route

_PROVIDERS = "/api/v1/companies/{companyId}/identity-providers"
_PROVIDER = "/api/v1/identity-providers/{providerId}"
ROUTES = (
    rpc_route(
        "POST",
        _PROVIDERS,
        pb.CreateProviderRequest,
        name="create_identity_provider",
        into="settings",
        part="provider",
        tagged=True,
        tag=ADMINISTER,
        summary="Create an identity provider of a company",
        body=Body(bodies.IdentityProviderRequest),
        answers=(Answer(201, "The provider, without its secret.", bodies.IdentityProviderValue),),
    ),
    rpc_route(
        "GET",
        _PROVIDERS,
        pb.ListProvidersRequest,
        name="list_identity_providers",
        tag=ADMINISTER,
        summary="List the identity providers of a company",
        answers=(Answer(200, "Sorted by name.", bodies.IdentityProviderList),),
    ),
    rpc_route(
        "GET",
        _PROVIDER,
        pb.GetProviderRequest,
        name="get_identity_provider",
        part="provider",
        tagged=True,
        tag=ADMINISTER,
        summary="Get an identity provider",
        answers=(Answer(200, "Found; `ETag` is for `If-Match`.", bodies.IdentityProviderValue),),
    ),
    rpc_route(
        "PUT",
        _PROVIDER,
        pb.UpdateProviderRequest,
        name="update_identity_provider",
        into="settings",
        part="provider",
        tagged=True,
        tag=ADMINISTER,
        summary="Replace the settings of an identity provider",
        body=Body(bodies.IdentityProviderRequest),
        headers=(IF_MATCH,),
        answers=(
            Answer(200, "The changed provider, with its `ETag`.", bodies.IdentityProviderValue),
        ),
        errors=(404, 409),
    ),
    rpc_route(
        "DELETE",
        _PROVIDER,
        pb.DeleteProviderRequest,
        name="delete_identity_provider",
        tag=ADMINISTER,
        summary="Delete an identity provider, its roles and its sessions",
        headers=(IF_MATCH,),
        answers=(Answer(204, "Deleted."),),
        errors=(404, 409),
    ),
    rpc_route(
        "POST",
        f"{_PROVIDER}:test",
        pb.TestProviderRequest,
        name="test_identity_provider",
        tag=ADMINISTER,
        summary="Show what a login with given claims would map to",
        body=Body(bodies.IdentityProviderTest),
        answers=(Answer(200, "The user, and whether the provider responds.", bodies.TestedUser),),
        errors=(404,),
    ),
)
