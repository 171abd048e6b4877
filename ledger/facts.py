"""What all facts have in common, whatever they are about and whichever log holds them."""

import msgspec


class Fact(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What is stored for good, as JSON, or a part of it: what equals its default is left out, and an unknown field is refused."""
