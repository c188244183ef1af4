"""May a principal do this, by these policies: AWS's evaluation logic within one account.

Kept evaluators were looked for: none on PyPI takes identity and resource policies with conditions
(moto's own knows no condition, Parliament, Policy Sentry and PolicyUniverse look at what is
written, Sibyl asks AWS), and iam-simulate of npm, which does, is under the AGPL. That one was asked
beside this module about 8,000 requests and policies made at random: both decided all of them alike.

What is written in AWS's documentation, and no more; each part names its page, all of them below
https://docs.aws.amazon.com/IAM/latest/UserGuide/. Not here, as the platform has none: service
control policies, permissions boundaries, session policies, other accounts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any, Final, Literal, TypeAlias

Context: TypeAlias = Mapping[str, str | Sequence[str]]
"""A request's condition keys, in lower case; a key that may have several values has a sequence."""


class PolicyError(Exception):
    """A policy with something in it that IAM does not know, or that nothing here can judge."""


@dataclass(frozen=True)
class Principal:
    """Who asks: a role, by its ARN, or a service, by its name (``events.amazonaws.com``)."""

    kind: Literal["AWS", "Service"]
    name: str

    @property
    def account(self) -> str:
        """The account that a role is of."""
        return self.name.split(":")[4] if self.kind == "AWS" else ""


@dataclass(frozen=True)
class Request:
    """What is asked: one action on one resource."""

    principal: Principal
    action: str
    resource: str
    context: Context = field(default_factory=dict)

    def __str__(self) -> str:
        who = self.principal.name.rpartition("/")[2]
        return f"{who}: {self.action} on {self.resource}"


@dataclass(frozen=True)
class Statement:
    """One statement of a policy; ``place`` says where it stands."""

    place: str
    effect: str
    told: Mapping[str, Any]

    @property
    def actions(self) -> Sequence[str]:
        """The actions that it names, as patterns."""
        return _listed(self.told.get("Action", ()))

    @property
    def resources(self) -> Sequence[str]:
        """The resources that it names, as patterns."""
        return _listed(self.told.get("Resource", ()))

    def without(self, action: str) -> Statement:
        """The same, but it does not name this action."""
        if "Action" not in self.told:
            return self
        actions = [it for it in self.actions if it != action]
        return replace(self, told={**self.told, "Action": actions})

    def applies(self, request: Request) -> bool:
        """Whether it is about this request."""
        return (
            _one_of(self.told, "Action", lambda wanted: like(wanted, request.action, fold=True))
            and _one_of(
                self._with_variables(request.context),
                "Resource",
                lambda wanted: arn_like(wanted, request.resource),
            )
            and self.is_for(request.principal)
            and holds(self.told.get("Condition", {}), request.context)
        )

    def _with_variables(self, context: Context) -> Mapping[str, Any]:
        """Its resources with their variables filled in."""
        told = {
            element: [_filled(text, context) for text in _listed(self.told[element])]
            for element in ("Resource", "NotResource")
            if element in self.told
        }
        return {"Resource": ()} if _UNKNOWN in told.get("NotResource", ()) else told

    def is_for(self, principal: Principal) -> bool:
        """Whether a resource's policy means who asks; an identity's own names nobody.

        reference_policies_elements_principal.html
        """
        if "NotPrincipal" in self.told:
            return not _names(self.told["NotPrincipal"], principal, delegated=True)
        if "Principal" in self.told:
            return _names(self.told["Principal"], principal, delegated=True)
        return True

    def names(self, principal: Principal) -> bool:
        """Whether it means who asks and not only the account, whose own policies then decide."""
        return _names(self.told.get("Principal", {}), principal, delegated=False)


def statements(place: str, document: Mapping[str, Any]) -> Iterator[Statement]:
    """A policy's statements, each with its place: ``<place>#1`` is the first."""
    for number, told in enumerate(_listed(document["Statement"]), 1):
        unknown = set(told) - _ELEMENTS
        if unknown or told["Effect"] not in {"Allow", "Deny"}:
            raise PolicyError(f"{place}#{number}: {sorted(unknown) or told['Effect']}")
        yield Statement(f"{place}#{number}", told["Effect"], told)


@dataclass(frozen=True)
class Policies:
    """All that decides about a request.

    Attributes:
        identity: of who asks.
        resource: of what is asked for, if that has a policy; None where it has none.
        must: whether the resource's policy must allow it, whatever the identity's say. So it is
            with keys and with the roles that are taken on.
        endpoint: of the VPC endpoint that the request goes through; None where it goes through
            none.

    """

    identity: Sequence[Statement] = ()
    resource: Sequence[Statement] | None = None
    must: bool = False
    endpoint: Sequence[Statement] | None = None


@dataclass(frozen=True)
class Decision:
    """What came of it: the statements that allow, or why it is refused."""

    by: Sequence[Statement] = ()
    refused: str | None = None

    @property
    def allowed(self) -> bool:
        return self.refused is None


def decide(request: Request, policies: Policies) -> Decision:
    """Whether a request is allowed.

    reference_policies_evaluation-logic_policy-eval-denyallow.html for the order: what is denied
    anywhere is denied; in one account, what the identity's or the resource's policy allows is
    allowed; a key's policy must allow as well, and may leave it to the account
    (https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html); and so must an
    endpoint's (https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html).
    """
    everything = [*policies.identity, *(policies.resource or ()), *(policies.endpoint or ())]
    for statement in everything:
        if statement.effect == "Deny" and statement.applies(request):
            return Decision(refused=f"denied by {statement.place}")

    def allows(found: Iterable[Statement] | None) -> list[Statement]:
        return [s for s in found or () if s.effect == "Allow" and s.applies(request)]

    door, own, theirs = map(allows, (policies.endpoint, policies.identity, policies.resource))
    if policies.endpoint is not None and not door:
        return Decision(refused="not allowed by the endpoint's policy")
    directly = [s for s in theirs if s.names(request.principal)]
    if request.principal.kind == "Service" or (policies.must and not theirs):
        if not directly:
            return Decision(refused="not allowed by the resource's policy")
        return Decision((*directly, *door))
    if not own and not directly:
        return Decision(refused="allowed by nothing")
    return Decision((*own, *theirs, *door))


# ------------------------------------------------------------------------------------ comparing


def like(pattern: str, value: str, *, fold: bool = False) -> bool:
    """Whether a text fits a pattern with ``*`` and ``?``; ``fold``: in whatever case."""
    return _compiled(pattern, fold).fullmatch(value) is not None


@cache
def _compiled(pattern: str, fold: bool) -> re.Pattern[str]:
    parts = re.split(r"(\$\{[*?$]\}|[*?])", pattern)
    wild = {"*": ".*", "?": "."}
    made = "".join(wild.get(p) or re.escape(p[2] if p.startswith("${") else p) for p in parts)
    return re.compile(made, re.DOTALL | (re.IGNORECASE if fold else 0))


def arn_like(pattern: str, arn: str) -> bool:
    """Whether an ARN fits a pattern; each of its six parts by itself.

    reference_policies_elements_resource.html, reference_policies_elements_condition_operators.html
    """
    if pattern == "*":
        return True
    wanted, found = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(found) and all(map(like, wanted, found))


def _one_of(told: Mapping[str, Any], element: str, fits: Callable[[str], bool]) -> bool:
    """Whether ``Action`` or ``Resource`` fits, or ``NotAction`` or ``NotResource`` does not.

    reference_policies_elements_notaction.html, reference_policies_elements_notresource.html
    """
    if element in told:
        return any(map(fits, _listed(told[element])))
    if f"Not{element}" in told:
        return not any(map(fits, _listed(told[f"Not{element}"])))
    # In the policy of a role that is taken on, the role is the resource, and is not named.
    return element == "Resource"


def _names(told: Any, principal: Principal, *, delegated: bool) -> bool:
    if told == "*":
        return True
    for wanted in _listed(told.get(principal.kind, ())):
        if wanted in {"*", principal.name}:
            return True
        of_account = {principal.account, f"arn:aws:iam::{principal.account}:root"}
        if delegated and principal.account and wanted in of_account:
            return True
    return False


# ----------------------------------------------------------------------------------- conditions


def holds(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether all conditions hold.

    reference_policies_condition-logic-multiple-context-keys-or-values.html: of all operators and
    keys each must hold, of a key's values one.
    """
    return all(
        _holds(operator, key, _listed(wanted), context)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, key: str, wanted: Sequence[Any], context: Context) -> bool:
    every, _, name = operator.rpartition(":")
    if every not in {"", "ForAllValues", "ForAnyValue"}:
        raise PolicyError(f"no operator: {operator}")
    name, if_exists = name.removesuffix("IfExists"), name.endswith("IfExists")
    found = context.get(key.lower())
    if name == "Null":
        return any(_text(value) == _text(found is None) for value in wanted)
    compare, negated = _operator(name)
    values = [_filled(_text(value), context) for value in wanted]

    def fits(value: str) -> bool:
        return any(compare(one, value) for one in values) is not negated

    if found is None:
        return if_exists or every == "ForAllValues" or (negated and not every)
    if negated and _UNKNOWN in values:
        return False
    # reference_policies_condition-single-vs-multi-valued-context-keys.html: a key of several
    # values needs one of the set operators.
    if not isinstance(found, str) and not every:
        return False
    each = [found] if isinstance(found, str) else found
    return any(map(fits, each)) if every == "ForAnyValue" else all(map(fits, each))


def _operator(name: str) -> tuple[Callable[[str, str], bool], bool]:
    """How an operator compares a policy's value with a request's, and whether it is a negation.

    reference_policies_elements_condition_operators.html
    """
    positive = name.replace("Not", "") if name != "Null" else name
    if positive not in _OPERATORS or (positive != name and positive not in _NEGATABLE):
        raise PolicyError(f"no operator: {name}")
    return _OPERATORS[positive], positive != name


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda wanted, found: compare(float(found), float(wanted))


def _date(compare: Callable[[datetime, datetime], bool]) -> Callable[[str, str], bool]:
    parse = datetime.fromisoformat
    return lambda wanted, found: compare(parse(found), parse(wanted))


def _in_network(wanted: str, found: str) -> bool:
    return ip_address(found) in ip_network(wanted, strict=False)


_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda wanted, found: _plain(wanted) == found,
    "StringEqualsIgnoreCase": lambda wanted, found: _plain(wanted).lower() == found.lower(),
    "StringLike": like,
    "NumericEquals": _number(lambda found, wanted: found == wanted),
    "NumericLessThan": _number(lambda found, wanted: found < wanted),
    "NumericLessThanEquals": _number(lambda found, wanted: found <= wanted),
    "NumericGreaterThan": _number(lambda found, wanted: found > wanted),
    "NumericGreaterThanEquals": _number(lambda found, wanted: found >= wanted),
    "DateEquals": _date(lambda found, wanted: found == wanted),
    "DateLessThan": _date(lambda found, wanted: found < wanted),
    "DateLessThanEquals": _date(lambda found, wanted: found <= wanted),
    "DateGreaterThan": _date(lambda found, wanted: found > wanted),
    "DateGreaterThanEquals": _date(lambda found, wanted: found >= wanted),
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
    "BinaryEquals": lambda wanted, found: wanted == found,
    "IpAddress": _in_network,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
}
_NEGATABLE: Final = frozenset(_OPERATORS) & {
    *("StringEquals", "StringEqualsIgnoreCase", "StringLike", "NumericEquals", "DateEquals"),
    *("IpAddress", "ArnEquals", "ArnLike"),
}
_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource"}
    | {"NotResource", "Condition"}
)


_UNKNOWN: Final = "\0"
"""A text with a variable in it that has no value."""


def _filled(text: str, context: Context) -> str:
    """A policy's text with its variables filled in.

    reference_policies_variables.html: a text with one that the request has no value for, and no
    default behind it, is about nothing; what a value has of * and ? is read as it stands.
    """
    known = True

    def value(found: re.Match[str]) -> str:
        nonlocal known
        value = context.get(found[1].strip().lower(), found[2])
        known = known and isinstance(value, str)
        return re.sub(r"[*?$]", r"${\g<0>}", str(value))

    filled = re.sub(r"\$\{([^${}*?][^,{}]*)(?:,\s*'([^']*)')?\}", value, text)
    return filled if known else _UNKNOWN


def _plain(text: str) -> str:
    """A text in which ``${*}`` and its like are the signs themselves."""
    return re.sub(r"\$\{([*?$])\}", r"\1", text)


def _text(value: Any) -> str:
    """A condition's value, which JSON may have as a truth or a number."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
