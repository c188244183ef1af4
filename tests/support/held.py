"""Requests held against all the policies that decide about them; and grants that nothing used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.iam import Policies, Principal, Request, decide, like
from tests.support.recorded import Asked
from tests.support.resolved import MANAGED, Resolved
from tests.support.rights import Need, needs


@dataclass
class Held:
    """What came of holding requests against an account's policies.

    Attributes:
        requests: how many there were, by who asked.
        refused: who needs what that nothing allows, with the reason; and how often.
        used: the places of the statements that allowed something, with the action that they did.

    """

    requests: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)


def hold(requests: Sequence[Asked], account: Resolved) -> Held:
    """Hold requests against all the policies that decide about them."""
    held = Held()
    known: dict[tuple[str, Need], str | None] = {}
    for asked in requests:
        role = asked.request.key
        held.requests[role] = held.requests.get(role, 0) + 1
        for need in needs(asked, account):
            frozen = Need(need.action, need.resource, _Frozen(need.context), need.behind)
            if (role, frozen) not in known:
                known[role, frozen] = _decided(role, asked.request.service, need, account, held)
            if refused := known[role, frozen]:
                line = f"{role}: {need.action} on {need.resource}: {refused}"
                held.refused[line] = held.refused.get(line, 0) + 1
    return held


def unused(account: Resolved, held: Held) -> Iterator[str]:
    """Each action that a role's policies of ours allow and that nothing used.

    ``<role>: <action> on <resources>``, for each statement by itself.
    """
    for role, mine in account.identities.items():
        for statement in mine:
            ours = statement.effect == "Allow" and MANAGED not in statement.place
            for action in statement.actions if ours else ():
                used = (it for place, it in held.used if place == statement.place)
                if not any(like(action, it, fold=True) for it in used):
                    yield f"{role}: {action} on {' '.join(statement.resources)}"


class _Frozen(dict[str, Any]):
    """A context that a key of a dictionary can have."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted((k, str(v)) for k, v in self.items())))


def _decided(role: str, service: str, need: Need, account: Resolved, held: Held) -> str | None:
    """Why a right is refused; None, and what allowed it on record, where it is not."""
    principal = Principal("AWS", f"arn:aws:iam::{account.number}:role/{role}")
    context = {
        "aws:principalaccount": account.number,
        "aws:principalarn": principal.name,
        "aws:resourceaccount": account.number,
        "aws:securetransport": "true",
        "s3:tlsversion": "1.3",
        **need.context,
    }
    owner = need.resource.partition("/")[0] if need.action.startswith("s3:") else need.resource
    of_key = need.action.startswith("kms:")
    if of_key:
        context = {**context, "kms:resourcealiases": account.aliases.get(need.resource, ())}
    door = account.endpoints.get(service)
    if door is None and not need.behind and role in account.inside and not account.has_way_out:
        return f"no endpoint of {service}, and no other way out"
    found = decide(
        Request(principal, need.action, need.resource, context),
        Policies(
            identity=account.identities[role],
            resource=account.resources.get(owner),
            must=of_key,
            endpoint=door if role in account.inside and not need.behind else None,
        ),
    )
    held.used |= {(statement.place, need.action) for statement in found.by}
    return found.refused
