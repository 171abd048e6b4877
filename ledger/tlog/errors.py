"""What is refused of trees, notes and policies.

TlogError                       what was given is not what it claims to be
├── ProofError                  proof_false
├── TileError                   tile_false
├── FrontierError               frontier_malformed
├── KeyTextError                key_malformed
├── NoteError                   note_malformed
│   ├── SignatureFalseError         signature_false
│   └── UnsignedError               not_signed
├── CheckpointError             checkpoint_malformed
├── PolicyError                 policy_malformed
├── LogUnknownError             log_unknown
├── QuorumMissingError          quorum_missing
└── BundleError                 bundle_malformed

Not LedgerErrors: nothing was to be recorded. No sentence repeats a key that is secret.
"""

from typing import ClassVar


class TlogError(ValueError):
    """What was given is not what it claims to be."""

    code: ClassVar[str] = "not_proved"


class ProofError(TlogError):
    """The hashes do not prove what they were held to prove."""

    code = "proof_false"


class TileError(TlogError):
    """A path names no tile, or what was fetched is not as wide as its tile."""

    code = "tile_false"


class FrontierError(TlogError):
    code = "frontier_malformed"


class KeyTextError(TlogError):
    """A text is no key. The sentence never repeats it: it may be a secret one."""

    code = "key_malformed"


class NoteError(TlogError):
    code = "note_malformed"


class SignatureFalseError(NoteError):
    """A key that is known has not signed this, whoever says so."""

    code = "signature_false"


class UnsignedError(NoteError):
    """None of the keys that are known has signed."""

    code = "not_signed"


class CheckpointError(TlogError):
    code = "checkpoint_malformed"


class PolicyError(TlogError):
    code = "policy_malformed"


class LogUnknownError(TlogError):
    """No log of the policy has this origin."""

    code = "log_unknown"


class QuorumMissingError(TlogError):
    """Too few witnesses have co-signed."""

    code = "quorum_missing"


class BundleError(TlogError):
    code = "bundle_malformed"
