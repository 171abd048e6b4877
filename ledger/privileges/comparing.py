"""Where a database differs from what is declared: each deviation in a sentence, with the SQL that mends it. Pure."""

from collections.abc import Iterator, Mapping
from itertools import groupby

from ledger.privileges.comparing_made import compare_made
from ledger.privileges.naming import as_role, called, granted, named, quoted, who
from ledger.privileges.state import Deviation, Held, Named, State, Thing

REBUILD_SUFFIX = "_rebuild"
"""Of tables that a rebuild fills, to take the place of those that are declared. Nobody but their owner may read them."""


def compare(declared: State, found: State) -> list[Deviation]:
    """Return where what was found is not what is declared; nothing that is unknown is passed over."""
    return [
        *_roles(declared, found),
        *_members(declared, found),
        *_things(declared, found),
        *_rights(declared, found),
        *_definers(declared, found),
        *_triggers(declared, found),
        *_policies(declared, found),
        *compare_made(declared, found),
        *_rest(declared, found),
    ]


def _roles(declared: State, found: State) -> Iterator[Deviation]:
    for name, facts in declared.roles.items():
        role, there = quoted(name), found.roles.get(name)
        if there is None:
            inherits = "NOINHERIT" if any(member == name for member, _ in declared.members) else "INHERIT"
            yield Deviation(f"the role {name} is missing", f"CREATE ROLE {role} NOLOGIN {inherits}")
            continue
        for power in sorted(there.powers):
            yield Deviation(
                f"the role {name} has {power}, which no privilege binds", f"ALTER ROLE {role} NO{power}"
            )
        if there.may_log_in and not facts.may_log_in:
            yield Deviation(
                f"the role {name} may log in, which nobody must as it", f"ALTER ROLE {role} NOLOGIN"
            )


def _members(declared: State, found: State) -> Iterator[Deviation]:
    # To whom the others are granted is the operator's to say.
    closed = {owner for thing, owner in declared.owners.items() if thing.kind == "schema"}
    for member, held in sorted(declared.members.keys() - found.members.keys()):
        if {member, held} <= found.roles.keys():
            yield Deviation(f"{member} is no member of {held}", f"GRANT {quoted(held)} TO {quoted(member)}")
    for (member, held), inherits in sorted(found.members.items()):
        if (member, held) in declared.members:
            if inherits and not declared.members[member, held]:
                yield Deviation(
                    f"{member} has the rights of {held} without becoming that",
                    f"ALTER ROLE {quoted(member)} NOINHERIT; REVOKE {quoted(held)} FROM {quoted(member)}; "
                    f"GRANT {quoted(held)} TO {quoted(member)}",
                )
            continue
        if member in declared.roles or held in closed:
            yield Deviation(
                f"{member} is a member of {held}, and may do whatever that may",
                f"REVOKE {quoted(held)} FROM {quoted(member)}",
            )


def _things(declared: State, found: State) -> Iterator[Deviation]:
    for thing, owner in sorted(declared.owners.items()):
        if thing not in found.owners:
            yield Deviation(f"the {called(thing)} is missing", "nothing; restore a backup")
        elif found.owners[thing] != owner:
            yield Deviation(
                f"the {called(thing)} belongs to {found.owners[thing]}, not to {owner}",
                f"ALTER {named(thing)} OWNER TO {quoted(owner)}",
            )
    for thing in sorted(found.owners.keys() - declared.owners.keys()):
        if not _is_of_rebuild(thing, declared.owners):
            yield Deviation(
                f"{found.owners[thing]} has a {called(thing)} that the ledger does not know",
                f"DROP {named(thing)}",
            )


def _is_of_rebuild(thing: Thing, owners: Mapping[Thing, str]) -> bool:
    live = thing._replace(name=thing.name.removesuffix(REBUILD_SUFFIX))
    return thing.kind == "table" and live != thing and live in owners


def _rights(declared: State, found: State) -> Iterator[Deviation]:
    known = {held for held in found.rights if _is_known(held.thing, declared)}
    plain = {held._replace(grantable=False) for held in known}
    for thing, grantee, verbs in _grouped(plain - declared.rights):
        yield Deviation(
            f"{who(grantee)} may {verbs} on the {called(thing)}, which is not declared",
            f"REVOKE {verbs} ON {granted(thing)} FROM {as_role(grantee)}",
        )
    for thing, grantee, verbs in _grouped({held for held in known if held.grantable}):
        if (thing, grantee) in {(held.thing, held.grantee) for held in declared.rights}:
            yield Deviation(
                f"{who(grantee)} may grant {verbs} on the {called(thing)} to others",
                f"REVOKE GRANT OPTION FOR {verbs} ON {granted(thing)} FROM {as_role(grantee)}",
            )
    lacking = {
        held for held in declared.rights - plain if held.thing in found.owners and held.grantee in found.roles
    }
    for thing, grantee, verbs in _grouped(lacking):
        yield Deviation(
            f"{who(grantee)} may not {verbs} on the {called(thing)}",
            f"GRANT {verbs} ON {granted(thing)} TO {as_role(grantee)}",
        )


def _is_known(thing: Thing, declared: State) -> bool:
    return (
        thing.kind in ("parameter", "database")
        or thing in declared.owners
        or _is_of_rebuild(thing, declared.owners)
    )


def _grouped(rights: set[Held] | frozenset[Held]) -> Iterator[tuple[Thing, str, str]]:
    """Yield what one role has on one thing, its verbs and columns as GRANT takes them."""
    ordered = sorted(rights, key=lambda held: (held.thing, held.grantee, held.verb, held.column))
    for (thing, grantee), many in groupby(ordered, key=lambda held: (held.thing, held.grantee)):
        verbs = []
        for verb, columns in groupby(many, key=lambda held: held.verb):
            names = [held.column for held in columns]
            verbs.append(verb if names[0] == "" else f"{verb} ({', '.join(map(quoted, names))})")
            if names[0] == "" and len(names) > 1:
                verbs.append(f"{verb} ({', '.join(map(quoted, names[1:]))})")
        yield thing, grantee, ", ".join(verbs)


def _definers(declared: State, found: State) -> Iterator[Deviation]:
    for function in sorted(declared.owners.keys() & found.owners.keys()):
        if function.kind != "function":
            continue
        if function not in declared.definers:
            if function in found.definers:
                yield Deviation(
                    f"the {called(function)} runs with its owner's rights",
                    f"ALTER {named(function)} SECURITY INVOKER",
                )
            continue
        if function not in found.definers:
            yield Deviation(
                f"the {called(function)} does not run with its owner's rights",
                f"ALTER {named(function)} SECURITY DEFINER",
            )
        elif found.definers[function] != declared.definers[function]:
            path = found.definers[function] or "that of whoever calls it"
            yield Deviation(
                f"the {called(function)} runs with its owner's rights, and its search path is {path}",
                f"ALTER {named(function)} SET search_path = {declared.definers[function]}",
            )


def _triggers(declared: State, found: State) -> Iterator[Deviation]:
    for trigger, does in sorted(declared.triggers.items()):
        on = granted(trigger.table)
        create = (
            f"CREATE TRIGGER {quoted(trigger.name)} {does.replace('{schema}', quoted(trigger.table.schema))}"
        )
        if trigger not in found.triggers:
            if trigger.table in found.owners:
                yield Deviation(
                    f"the trigger {trigger.name} of the {called(trigger.table)} is missing", create
                )
            continue
        if found.triggers[trigger] != does:
            yield Deviation(
                f"the trigger {trigger.name} of the {called(trigger.table)} does something else",
                f"DROP TRIGGER {quoted(trigger.name)} ON {on}; {create}",
            )
        if trigger in found.disabled:
            yield Deviation(
                f"the trigger {trigger.name} of the {called(trigger.table)} is disabled",
                f"ALTER TABLE {on} ENABLE TRIGGER {quoted(trigger.name)}",
            )
    for trigger in sorted(found.triggers.keys() - declared.triggers.keys()):
        yield _unknown("trigger", trigger)


def _policies(declared: State, found: State) -> Iterator[Deviation]:
    for table in sorted(found.owners.keys() & declared.owners.keys()):
        is_so, should = found.secured.get(table), declared.secured.get(table)
        if should and not is_so:
            yield Deviation(
                f"whoever may read the {called(table)} sees all of its rows: row-level security is off",
                f"ALTER TABLE {granted(table)} ENABLE ROW LEVEL SECURITY",
            )
        if is_so and not should:
            yield Deviation(
                f"the {called(table)} has row-level security, which is not declared",
                f"ALTER TABLE {granted(table)} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
            )
        elif is_so == "FORCE":
            yield Deviation(
                f"row-level security of the {called(table)} binds its owner too, who then sees nothing",
                f"ALTER TABLE {granted(table)} ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
            )
    for policy, lets in sorted(declared.policies.items()):
        if policy.table not in found.owners or found.policies.get(policy) == lets:
            continue
        drop = f"DROP POLICY IF EXISTS {quoted(policy.name)} ON {granted(policy.table)}"
        create = lets.replace("{schema}", quoted(policy.table.schema))
        yield Deviation(
            f"the policy {policy.name} of the {called(policy.table)} is missing or lets others see other rows",
            f"{drop}; CREATE POLICY {quoted(policy.name)} ON {granted(policy.table)} {create}",
        )
    for policy in sorted(found.policies.keys() - declared.policies.keys()):
        yield _unknown("policy", policy)


def _rest(declared: State, found: State) -> Iterator[Deviation]:
    for rule in sorted(found.rules - declared.rules):
        yield _unknown("rule", rule)
    for table in sorted(found.unlogged - declared.unlogged):
        yield Deviation(
            f"the {called(table)} is empty after a crash of the server: it is UNLOGGED",
            f"ALTER TABLE {granted(table)} SET LOGGED",
        )
    for heir in sorted(found.heirs - declared.heirs):
        yield Deviation(
            f"the {called(heir.table)} shows the rows of {heir.name} too, which inherits from it",
            f"ALTER TABLE {heir.name} NO INHERIT {granted(heir.table)}",
        )
    for role, schema, kinds, grantee in sorted(found.defaults - declared.defaults):
        place = f" IN SCHEMA {quoted(schema)}" if schema else ""
        yield Deviation(
            f"whatever {kinds} {role} makes are given to {who(grantee)} by default",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(role)}{place} REVOKE ALL ON {kinds} FROM {as_role(grantee)}",
        )
    for role, database, setting in sorted(found.settings - declared.settings):
        place = f" IN DATABASE {quoted(database)}" if database else ""
        yield Deviation(
            f"sessions of {role} begin with a {setting} that is not declared",
            f"ALTER ROLE {quoted(role)}{place} RESET {setting}",
        )


def _unknown(what: str, one: Named) -> Deviation:
    return Deviation(
        f"the {called(one.table)} has a {what} {one.name} that the ledger does not know",
        f"DROP {what.upper()} {quoted(one.name)} ON {granted(one.table)}",
    )
