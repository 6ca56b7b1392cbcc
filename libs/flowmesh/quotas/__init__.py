"""Quotas of projects, for the services that enforce them."""

from flowmesh.quotas.namespace_quotas import QUOTAS, NamespaceQuotas, quota_exceeded

__all__ = ["QUOTAS", "NamespaceQuotas", "quota_exceeded"]
