"""Who has signed the policy: a signature binds to its SHA-256, so a policy that differs is signed by nobody.

Signatures stand in the chain of evidence, which no one can change unseen; the refusals are the review's: what was shown
is what is signed, by a declared role, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from analytics_platform.catalog import SignoffRole
from analytics_platform.governance.access.policy import Policy
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.governance.review.signing import SHORTEST_HASH, SigningRefusedError

SIGNED = "access_policy_signed"
"""Kind of the entry of evidence; its subject is the policy's hash."""


@dataclass(frozen=True)
class PolicySignature:
    """One signature of this very policy."""

    role: str
    signer: str
    signed_at: datetime


@dataclass(frozen=True)
class PolicyStanding:
    """How a policy stands.

    Attributes:
        signatures: of the policy that is there.
        open_roles: who has not signed it.
        void: how many signatures bind to other policies.
    """

    signatures: tuple[PolicySignature, ...]
    open_roles: tuple[str, ...]
    void: int

    @property
    def status(self) -> str:
        """SIGNED when every role has signed, else DRAFT."""
        return "DRAFT" if self.open_roles else "SIGNED"


def standing(chain: EvidenceChain, policy: Policy, roles: Mapping[str, SignoffRole]) -> PolicyStanding:
    """Who has signed this policy.

    Raises:
        BrokenChainError: the evidence was changed.
    """
    chain.verify()
    entries = [entry for entry in chain.entries() if entry.kind == SIGNED]
    current = tuple(
        PolicySignature(entry.said["role"], entry.by, entry.at) for entry in entries if entry.subject == policy.sha256
    )
    signed = {each.role for each in current}
    return PolicyStanding(current, tuple(role for role in roles if role not in signed), len(entries) - len(current))


def sign(
    chain: EvidenceChain,
    policy: Policy,
    roles: Mapping[str, SignoffRole],
    signature: PolicySignature,
    shown_sha256: str,
) -> PolicyStanding:
    """Sign the policy that was shown.

    Raises:
        SigningRefusedError: another policy was shown, the role is unknown or has signed, or there is no name.
    """
    shown = shown_sha256.strip().lower()
    if len(shown) < SHORTEST_HASH or not policy.sha256.startswith(shown):
        raise SigningRefusedError(
            f"the policy that you were shown ({shown or 'no hash'}) is not the one that is there "
            f"({policy.sha256[:SHORTEST_HASH]}…); read `analytics access matrix` and give at least {SHORTEST_HASH} "
            "characters of its hash"
        )
    if signature.role not in roles:
        raise SigningRefusedError(f"{signature.role!r} is no sign-off role; the roles are {', '.join(roles)}")
    if len(signature.signer.strip()) < 2:
        raise SigningRefusedError("a signature needs the name of a person: give it with --name")
    if signature.role not in standing(chain, policy, roles).open_roles:
        raise SigningRefusedError(f"this policy is signed for {signature.role} already")
    chain.record(SIGNED, policy.sha256, signature.signer, {"role": signature.role}, at=signature.signed_at)
    return standing(chain, policy, roles)
