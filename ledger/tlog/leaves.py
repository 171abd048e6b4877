"""What stands in the tree for an event: leaf v1, which the SQL function ``append`` computes as it records."""

import struct
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from ledger.tlog.errors import BundleError
from ledger.tlog.tree import HASH_BYTES, leaf_hash

DOMAIN = b"activation-ledger/v1"
_HEAD = struct.Struct(">q16sqqi")
_1970 = datetime(1970, 1, 1, tzinfo=UTC)


def entry(
    position: int, originator_id: UUID, version: int, recorded_at: datetime, topic: str, state_hash: bytes
) -> bytes:
    """Return the entry of an event in the log: about 120 bytes, none of them personal.

    Its content is in it by its hash alone: should a court order the content blanked, the tree still proves itself.

    Args:
        position: Of the event, from 1.
        version: Of the event in its stream, from 1.
        recorded_at: With an offset; to the microsecond.
        state_hash: SHA-256 of the event's exact bytes.
    """
    assert len(state_hash) == HASH_BYTES
    name = topic.encode()
    microseconds = (recorded_at - _1970) // timedelta(microseconds=1)
    return (
        DOMAIN
        + _HEAD.pack(position, originator_id.bytes, version, microseconds, len(name))
        + name
        + state_hash
    )


def read_entry(data: bytes) -> tuple[int, UUID, int, datetime, str, bytes]:
    """Return position, stream, version, time of recording (UTC), topic and hash of the content.

    Raises:
        BundleError: It is no entry of this kind.
    """
    start = len(DOMAIN) + _HEAD.size
    if len(data) < start + HASH_BYTES or not data.startswith(DOMAIN):
        raise BundleError("this is no entry of an activation ledger")
    position, stream, version, microseconds, topic_bytes = _HEAD.unpack_from(data, len(DOMAIN))
    if len(data) != start + topic_bytes + HASH_BYTES:
        raise BundleError("the entry is cut, or longer than it says")
    try:
        topic = data[start : start + topic_bytes].decode()
        recorded_at = _1970 + timedelta(microseconds=microseconds)
    except (UnicodeDecodeError, OverflowError):
        raise BundleError("the entry's topic is no text, or its time is none") from None
    return position, UUID(bytes=stream), version, recorded_at, topic, data[-HASH_BYTES:]


def leaf(
    position: int, originator_id: UUID, version: int, recorded_at: datetime, topic: str, state: bytes
) -> bytes:
    """Return the leaf of an event: RFC 6962's hash of its entry.

    Args:
        state: The event's exact bytes.
    """
    return leaf_hash(entry(position, originator_id, version, recorded_at, topic, sha256(state).digest()))
