"""Rows on disk: what is written stays readable, and what is damaged is reported with where it lies."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import get_args
from uuid import UUID

import psycopg
import pytest
from eventsourcing.persistence import (
    IntegrityError,
    MapperDeserialisationError,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from psycopg import sql

from ledger import Activated, AnyEvent, Approved, Collected, Ledger, Rejected, UnitOpened, store
from ledger import database as databases
from ledger.errors import ClockBehindError, ContentionError, StoreUnavailableError
from ledger.events import (
    Allocated,
    Amended,
    Change,
    CitizenErased,
    Confirmed,
    Entry,
    Locked,
    Notified,
    Reassigned,
    Stand,
    Unlocked,
    Voided,
    Withdrawn,
    topic_of,
)
from ledger.frozen_events import Definition, ReportFrozen
from ledger.key_events import KeyCreated, KeyGrant, KeyRevoked
from ledger.sql import load
from ledger.store import (
    EventMapper,
    LedgerDatastore,
    LedgerRecorder,
    decode,
    encode,
    sqlstate_of,
    translated,
)
from ledger.target_events import DenominatorSet, TargetSet, TargetWithdrawn
from ledger.unit_events import (
    Part,
    ReorganisationWithdrawn,
    UnitAbolished,
    UnitMerged,
    UnitMoved,
    UnitRecoded,
    UnitRenamed,
    UnitSplit,
)
from tests.conftest import check_ledger
from tests.ledger.reports import VIETNAM, a_life, collect

HERE = UUID("0192f000-0000-7000-8000-00000000000a")
THERE = UUID("0192f000-0000-7000-8000-00000000000b")
MORNING = datetime(2024, 12, 2, 8, 0, tzinfo=VIETNAM)
PREVIOUS = Stand(state="collected", occurred_at=MORNING, place="school", partner="youth_union")

# Rows as versions in use have written them. They must read and write the same for ever: never edit one,
# add one for every new type and for every field that an old type gets.
FROZEN = [
    (
        Collected(key="a1", level=2, occurred_at=MORNING, actor="cb01", unit="14758", unit_id=HERE),
        b'{"type":"dossier.collected.v1","key":"a1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb01","unit":"14758","unit_id":"0192f000-0000-7000-8000-00000000000a"}',
    ),
    (
        Collected(
            key="a2",
            level=1,
            occurred_at=datetime(2024, 12, 2, 1, 0, 0, 500, tzinfo=UTC),
            actor="self",
            unit="14758",
            place="school",
            team="to-3",
            partner="youth_union",
            residence_unit="17464",
            note=b"\x00\xffsealed",
            unit_id=HERE,
            residence="17464",
            attempt=2,
            first=True,
            previous=Stand(state="rejected", occurred_at=MORNING),
        ),
        b'{"type":"dossier.collected.v1","key":"a2","level":1,"occurred_at":"2024-12-02T01:00:00.000500Z",'
        b'"actor":"self","unit":"14758","place":"school","team":"to-3","partner":"youth_union",'
        b'"residence_unit":"17464","note":"AP9zZWFsZWQ=","unit_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"residence":"17464","attempt":2,"first":true,'
        b'"previous":{"state":"rejected","occurred_at":"2024-12-02T08:00:00+07:00"}}',
    ),
    (
        Approved(
            key="p1",
            level=2,
            occurred_at=MORNING,
            actor="c06",
            unit_id=HERE,
            residence="17464",
            first=True,
            collecting_unit_id=HERE,
            previous=PREVIOUS,
        ),
        b'{"type":"dossier.approved.v1","key":"p1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"c06","unit_id":"0192f000-0000-7000-8000-00000000000a","residence":"17464","first":true,'
        b'"collecting_unit_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"previous":{"state":"collected","occurred_at":"2024-12-02T08:00:00+07:00","place":"school",'
        b'"partner":"youth_union"}}',
    ),
    (
        Rejected(
            key="r1",
            level=2,
            occurred_at=MORNING,
            actor="c06",
            unit_id=HERE,
            reason="phone_owner",
            collecting_unit_id=HERE,
            previous=PREVIOUS,
        ),
        b'{"type":"dossier.rejected.v1","key":"r1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"c06","unit_id":"0192f000-0000-7000-8000-00000000000a","reason":"phone_owner",'
        b'"collecting_unit_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"previous":{"state":"collected","occurred_at":"2024-12-02T08:00:00+07:00","place":"school",'
        b'"partner":"youth_union"}}',
    ),
    (
        Activated(
            key="k1",
            level=2,
            occurred_at=MORNING,
            actor="cb01",
            unit="14761",
            unit_id=THERE,
            attempt=3,
            collecting_unit_id=HERE,
            previous=Stand(state="approved", occurred_at=MORNING),
        ),
        b'{"type":"dossier.activated.v1","key":"k1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb01","unit":"14761","unit_id":"0192f000-0000-7000-8000-00000000000b","attempt":3,'
        b'"collecting_unit_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"previous":{"state":"approved","occurred_at":"2024-12-02T08:00:00+07:00"}}',
    ),
    (
        Collected(
            key="a3", level=2, occurred_at=MORNING, actor="cb01", unit="14758", unit_id=HERE, card="expired"
        ),
        b'{"type":"dossier.collected.v1","key":"a3","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb01","unit":"14758","unit_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"card":"expired"}',
    ),
    (
        Notified(
            key="n1",
            level=2,
            occurred_at=MORNING,
            actor="c06",
            unit_id=HERE,
            collecting_unit_id=HERE,
            previous=Stand(state="approved", occurred_at=MORNING),
        ),
        b'{"type":"dossier.notified.v1","key":"n1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"c06","unit_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"collecting_unit_id":"0192f000-0000-7000-8000-00000000000a","previous":{"state":"approved",'
        b'"occurred_at":"2024-12-02T08:00:00+07:00"}}',
    ),
    (
        Withdrawn(
            key="w1",
            level=2,
            occurred_at=MORNING,
            actor="c06",
            unit_id=HERE,
            reason="face",
            collecting_unit_id=HERE,
            previous=Stand(state="notified", occurred_at=MORNING),
        ),
        b'{"type":"dossier.withdrawn.v1","key":"w1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"c06","unit_id":"0192f000-0000-7000-8000-00000000000a","reason":"face",'
        b'"collecting_unit_id":"0192f000-0000-7000-8000-00000000000a","previous":{"state":"notified",'
        b'"occurred_at":"2024-12-02T08:00:00+07:00"}}',
    ),
    (
        Locked(
            key="l1",
            level=2,
            occurred_at=MORNING,
            actor="c06",
            unit="14758",
            unit_id=HERE,
            reason="death",
            collecting_unit_id=HERE,
            previous=Stand(state="activated", occurred_at=MORNING),
            before_activation=True,
        ),
        b'{"type":"dossier.locked.v1","key":"l1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"c06","unit":"14758","unit_id":"0192f000-0000-7000-8000-00000000000a","reason":"death",'
        b'"collecting_unit_id":"0192f000-0000-7000-8000-00000000000a","previous":{"state":"activated",'
        b'"occurred_at":"2024-12-02T08:00:00+07:00"},"before_activation":true}',
    ),
    (
        Unlocked(
            key="u1",
            level=2,
            occurred_at=MORNING,
            actor="c06",
            unit="14758",
            unit_id=HERE,
            reason="other",
            collecting_unit_id=HERE,
            previous=Stand(state="locked", occurred_at=MORNING),
            resumes=PREVIOUS,
        ),
        b'{"type":"dossier.unlocked.v1","key":"u1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"c06","unit":"14758","unit_id":"0192f000-0000-7000-8000-00000000000a","reason":"other",'
        b'"collecting_unit_id":"0192f000-0000-7000-8000-00000000000a","previous":{"state":"locked",'
        b'"occurred_at":"2024-12-02T08:00:00+07:00"},"resumes":{"state":"collected",'
        b'"occurred_at":"2024-12-02T08:00:00+07:00","place":"school","partner":"youth_union"}}',
    ),
    (
        Voided(
            key="v1",
            level=2,
            occurred_at=MORNING,
            actor="cb02",
            corrects=3,
            note=b"why",
            reason="mistyped",
            changes=(
                Change(
                    type="activated",
                    level=2,
                    unit_id=HERE,
                    occurred_at=MORNING,
                    place="school",
                    partner="veterans",
                    team="to-3",
                    residence="17464",
                    count=-1,
                    persons=-1,
                ),
                Change(
                    waits="collected", level=2, unit_id=HERE, occurred_at=MORNING, card="missing", count=1
                ),
            ),
        ),
        b'{"type":"entry.voided.v1","key":"v1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb02","corrects":3,"note":"d2h5","changes":[{"type":"activated","level":2,'
        b'"unit_id":"0192f000-0000-7000-8000-00000000000a","occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"place":"school","partner":"veterans","team":"to-3","residence":"17464","count":-1,'
        b'"persons":-1},{"waits":"collected","level":2,"unit_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"occurred_at":"2024-12-02T08:00:00+07:00","card":"missing","count":1}],"reason":"mistyped"}',
    ),
    (
        Reassigned(
            key="s1",
            level=2,
            occurred_at=MORNING,
            actor="cb02",
            corrects=1,
            asked=True,
            unit="14761",
            unit_id=THERE,
        ),
        b'{"type":"dossier.reassigned.v1","key":"s1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb02","corrects":1,"asked":true,"unit":"14761",'
        b'"unit_id":"0192f000-0000-7000-8000-00000000000b"}',
    ),
    (
        Amended(
            key="m1",
            level=2,
            occurred_at=MORNING,
            actor="cb02",
            corrects=1,
            place="school",
            team="-",
            partner="none",
        ),
        b'{"type":"entry.amended.v1","key":"m1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb02","corrects":1,"place":"school","team":"-","partner":"none"}',
    ),
    (
        Confirmed(key="f1", level=2, occurred_at=MORNING, actor="cb03", corrects=7),
        b'{"type":"entry.confirmed.v1","key":"f1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb03","corrects":7}',
    ),
    (
        CitizenErased(
            occurred_at=datetime(2026, 11, 24, 11, 0, tzinfo=UTC),
            actor="cb09",
            reason="on request",
            basis="QĐ 12/2026",
        ),
        '{"type":"citizen.erased.v1","occurred_at":"2026-11-24T11:00:00Z","actor":"cb09","reason":"on request",'
        '"basis":"QĐ 12/2026"}'.encode(),
    ),
    (
        Collected(
            key="a4",
            level=2,
            occurred_at=MORNING,
            actor="cb01",
            unit="14758",
            unit_id=HERE,
            allocated_id=THERE,
        ),
        b'{"type":"dossier.collected.v1","key":"a4","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb01","unit":"14758","unit_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"allocated_id":"0192f000-0000-7000-8000-00000000000b"}',
    ),
    (
        Approved(
            key="p2",
            level=2,
            occurred_at=MORNING,
            actor="c06",
            unit_id=HERE,
            residence="17464",
            allocated_id=THERE,
            collecting_unit_id=HERE,
            collecting_allocated_id=THERE,
            previous=Stand(
                state="collected", occurred_at=MORNING, actor="cb01", team="to-3", residence="17464"
            ),
        ),
        b'{"type":"dossier.approved.v1","key":"p2","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"c06","unit_id":"0192f000-0000-7000-8000-00000000000a","residence":"17464",'
        b'"allocated_id":"0192f000-0000-7000-8000-00000000000b",'
        b'"collecting_unit_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"collecting_allocated_id":"0192f000-0000-7000-8000-00000000000b",'
        b'"previous":{"state":"collected","occurred_at":"2024-12-02T08:00:00+07:00","actor":"cb01",'
        b'"team":"to-3","residence":"17464"}}',
    ),
    (
        Activated(
            key="k2",
            level=2,
            occurred_at=MORNING,
            actor="cb01",
            unit="14761",
            unit_id=THERE,
            residence="17464",
            residence_on=date(2024, 11, 29),
            collecting_unit_id=HERE,
            previous=Stand(
                state="approved", occurred_at=MORNING, residence="17464", residence_on=date(2024, 11, 29)
            ),
        ),
        b'{"type":"dossier.activated.v1","key":"k2","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb01","unit":"14761","unit_id":"0192f000-0000-7000-8000-00000000000b","residence":"17464",'
        b'"residence_on":"2024-11-29","collecting_unit_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"previous":{"state":"approved","occurred_at":"2024-12-02T08:00:00+07:00","residence":"17464",'
        b'"residence_on":"2024-11-29"}}',
    ),
    (
        Voided(
            key="v3",
            level=2,
            occurred_at=MORNING,
            actor="cb02",
            corrects=3,
            reason="mistyped",
            changes=(
                Change(
                    type="activated",
                    level=2,
                    unit_id=HERE,
                    occurred_at=MORNING,
                    residence="17464",
                    residence_on=date(2024, 11, 29),
                    count=-1,
                ),
            ),
        ),
        b'{"type":"entry.voided.v1","key":"v3","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb02","corrects":3,"changes":[{"type":"activated","level":2,'
        b'"unit_id":"0192f000-0000-7000-8000-00000000000a","occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"residence":"17464","residence_on":"2024-11-29","count":-1}],"reason":"mistyped"}',
    ),
    (
        Allocated(
            key="b1",
            level=2,
            occurred_at=MORNING,
            actor="cb02",
            unit="14761",
            unit_id=THERE,
            split_ids=(HERE,),
            note=b"why",
            changes=(
                Change(waits="collected", level=2, unit_id=HERE, occurred_at=MORNING, actor="c06", count=-1),
            ),
        ),
        b'{"type":"dossier.allocated.v1","key":"b1","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb02","unit":"14761","unit_id":"0192f000-0000-7000-8000-00000000000b",'
        b'"split_ids":["0192f000-0000-7000-8000-00000000000a"],"note":"d2h5","changes":[{"waits":"collected",'
        b'"level":2,"unit_id":"0192f000-0000-7000-8000-00000000000a","occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"c06","count":-1}]}',
    ),
    (
        Voided(
            key="v2",
            level=2,
            occurred_at=MORNING,
            actor="cb02",
            corrects=3,
            reason="mistyped",
            changes=(
                Change(
                    type="rejected",
                    level=2,
                    unit_id=HERE,
                    occurred_at=MORNING,
                    actor="c06",
                    reason="photo",
                    allocated_id=THERE,
                    count=-1,
                ),
            ),
        ),
        b'{"type":"entry.voided.v1","key":"v2","level":2,"occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"cb02","corrects":3,"changes":[{"type":"rejected","level":2,'
        b'"unit_id":"0192f000-0000-7000-8000-00000000000a","occurred_at":"2024-12-02T08:00:00+07:00",'
        b'"actor":"c06","reason":"photo","allocated_id":"0192f000-0000-7000-8000-00000000000b","count":-1}],'
        b'"reason":"mistyped"}',
    ),
    (
        UnitOpened(
            unit_id=THERE,
            code="14758",
            name="Phường Đông Thọ",
            level="commune",
            parent_id=HERE,
            valid_from=date(2021, 1, 1),
            decree="NQ 1238/NQ-UBTVQH15",
            actor="op1",
        ),
        '{"type":"unit.opened.v1","unit_id":"0192f000-0000-7000-8000-00000000000b","code":"14758",'
        '"name":"Phường Đông Thọ","level":"commune","parent_id":"0192f000-0000-7000-8000-00000000000a",'
        '"valid_from":"2021-01-01","decree":"NQ 1238/NQ-UBTVQH15","actor":"op1"}'.encode(),
    ),
    (
        DenominatorSet(
            unit_id=THERE,
            name="eligible",
            value=2068,
            from_day=date(2024, 10, 1),
            source="C06, 30 Sep 2024",
            actor="op1",
        ),
        b'{"type":"denominator.set.v1","unit_id":"0192f000-0000-7000-8000-00000000000b","name":"eligible",'
        b'"value":2068,"from_day":"2024-10-01","source":"C06, 30 Sep 2024","actor":"op1"}',
    ),
    (
        TargetSet(
            target_id=HERE,
            unit_id=THERE,
            measure="activated",
            level=2,
            percent=Decimal("12.5"),
            denominator="eligible",
            from_day=date(2024, 10, 1),
            deadline=date(2024, 12, 31),
            issuer="Bộ Công an",
            basis="KH 01",
            part_of=THERE,
            actor="op1",
        ),
        '{"type":"target.set.v1","target_id":"0192f000-0000-7000-8000-00000000000a",'
        '"unit_id":"0192f000-0000-7000-8000-00000000000b","measure":"activated","level":2,"percent":"12.5",'
        '"denominator":"eligible","from_day":"2024-10-01","deadline":"2024-12-31","issuer":"Bộ Công an",'
        '"basis":"KH 01","part_of":"0192f000-0000-7000-8000-00000000000b","actor":"op1"}'.encode(),
    ),
    (
        TargetSet(
            target_id=HERE,
            unit_id=THERE,
            measure="collected",
            number=500,
            from_day=date(2024, 10, 1),
            deadline=date(2024, 12, 31),
            issuer="x",
        ),
        b'{"type":"target.set.v1","target_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"unit_id":"0192f000-0000-7000-8000-00000000000b","measure":"collected","number":500,'
        b'"from_day":"2024-10-01","deadline":"2024-12-31","issuer":"x"}',
    ),
    (
        TargetWithdrawn(target_id=HERE, reason="replaced", actor="op1"),
        b'{"type":"target.withdrawn.v1","target_id":"0192f000-0000-7000-8000-00000000000a",'
        b'"reason":"replaced","actor":"op1"}',
    ),
    (
        UnitRenamed(
            unit_id=HERE,
            effective=date(2025, 7, 1),
            decree="NQ 1686",
            actor="op1",
            reorganisation=THERE,
            name="Ham Rong",
        ),
        b'{"type":"unit.renamed.v1","unit_id":"0192f000-0000-7000-8000-00000000000a","effective":"2025-07-01",'
        b'"decree":"NQ 1686","actor":"op1","reorganisation":"0192f000-0000-7000-8000-00000000000b","name":"Ham Rong"}',
    ),
    (
        UnitRecoded(
            unit_id=HERE,
            effective=date(2025, 7, 1),
            decree="NQ 1686",
            actor="op1",
            reorganisation=THERE,
            code="14758",
        ),
        b'{"type":"unit.recoded.v1","unit_id":"0192f000-0000-7000-8000-00000000000a","effective":"2025-07-01",'
        b'"decree":"NQ 1686","actor":"op1","reorganisation":"0192f000-0000-7000-8000-00000000000b","code":"14758"}',
    ),
    (
        UnitMoved(
            unit_id=HERE,
            effective=date(2025, 7, 1),
            decree="NQ 1686",
            actor="op1",
            reorganisation=THERE,
            parent_id=THERE,
        ),
        b'{"type":"unit.moved.v1","unit_id":"0192f000-0000-7000-8000-00000000000a","effective":"2025-07-01",'
        b'"decree":"NQ 1686","actor":"op1","reorganisation":"0192f000-0000-7000-8000-00000000000b","parent_id":"0192f000-0000-7000-8000-00000000000b"}',
    ),
    (
        UnitMerged(
            unit_id=HERE,
            effective=date(2025, 7, 1),
            decree="NQ 1686",
            actor="op1",
            reorganisation=THERE,
            into=THERE,
        ),
        b'{"type":"unit.merged.v1","unit_id":"0192f000-0000-7000-8000-00000000000a","effective":"2025-07-01",'
        b'"decree":"NQ 1686","actor":"op1","reorganisation":"0192f000-0000-7000-8000-00000000000b","into":"0192f000-0000-7000-8000-00000000000b"}',
    ),
    (
        UnitSplit(
            unit_id=HERE,
            effective=date(2025, 7, 1),
            decree="NQ 1686",
            actor="op1",
            reorganisation=THERE,
            parts=(Part(HERE), Part(THERE, people=False)),
        ),
        b'{"type":"unit.split.v1","unit_id":"0192f000-0000-7000-8000-00000000000a","effective":"2025-07-01",'
        b'"decree":"NQ 1686","actor":"op1","reorganisation":"0192f000-0000-7000-8000-00000000000b","parts":[{"unit_id":"0192f000-0000-7000-8000-00000000000a"},'
        b'{"unit_id":"0192f000-0000-7000-8000-00000000000b","people":false}]}',
    ),
    (
        UnitAbolished(
            unit_id=HERE,
            effective=date(2025, 7, 1),
            decree="NQ 1686",
            actor="op1",
            reorganisation=THERE,
        ),
        b'{"type":"unit.abolished.v1","unit_id":"0192f000-0000-7000-8000-00000000000a","effective":"2025-07-01",'
        b'"decree":"NQ 1686","actor":"op1","reorganisation":"0192f000-0000-7000-8000-00000000000b"}',
    ),
    (
        ReorganisationWithdrawn(reorganisation=THERE, reason="erratum", actor="op1"),
        b'{"type":"units.reorganisation_withdrawn.v1","reorganisation":"0192f000-0000-7000-8000-00000000000b",'
        b'"reason":"erratum","actor":"op1"}',
    ),
    (
        ReorganisationWithdrawn(reorganisation=THERE, reason="erratum", actor="op1", decree="NQ 1"),
        b'{"type":"units.reorganisation_withdrawn.v1","reorganisation":"0192f000-0000-7000-8000-00000000000b",'
        b'"reason":"erratum","actor":"op1","decree":"NQ 1"}',
    ),
    (
        ReportFrozen(
            name="2024-12-09-evening",
            definition=Definition(by=("unit",), to_day=date(2024, 12, 9), hierarchy="2024-12-09"),
            position=0,
            format=1,
            sha256="00ff",
        ),
        b'{"type":"report.frozen.v1","name":"2024-12-09-evening",'
        b'"definition":{"by":["unit"],"to":"2024-12-09","hierarchy":"2024-12-09"},'
        b'"position":0,"format":1,"sha256":"00ff"}',
    ),
    (
        ReportFrozen(
            name="n",
            title="Báo cáo tối",
            definition=Definition(
                unit="38",
                by=("district", "level"),
                level=2,
                from_day=date(2024, 12, 1),
                to_day=date(2024, 12, 31),
                hierarchy="then",
                attribution="residence",
                compare="previous",
            ),
            position=9,
            format=1,
            sha256="00ff",
            actor="op1",
        ),
        '{"type":"report.frozen.v1","name":"n","title":"Báo cáo tối",'
        '"definition":{"unit":"38","by":["district","level"],"level":2,"from":"2024-12-01","to":"2024-12-31",'
        '"hierarchy":"then","attribution":"residence","compare":"previous"},'
        '"position":9,"format":1,"sha256":"00ff","actor":"op1"}'.encode(),
    ),
    (
        KeyCreated(
            key_id="abcdefghijkl",
            hash=bytes(32),
            grants=(KeyGrant(role="recorder", unit_id=HERE), KeyGrant(role="follower")),
            name="Máy của xã",
            expires_at=datetime(2025, 3, 9, 16, 0, tzinfo=UTC),
            actor="op1",
        ),
        '{"type":"key.created.v1","key_id":"abcdefghijkl","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",'
        '"grants":[{"role":"recorder","unit_id":"0192f000-0000-7000-8000-00000000000a"},{"role":"follower"}],'
        '"name":"Máy của xã","expires_at":"2025-03-09T16:00:00Z","actor":"op1"}'.encode(),
    ),
    (
        KeyRevoked(key_id="abcdefghijkl", actor="op1"),
        b'{"type":"key.revoked.v1","key_id":"abcdefghijkl","actor":"op1"}',
    ),
]


@pytest.mark.parametrize(
    ("event", "state"), FROZEN, ids=[f"{n} {topic_of(type(event))}" for n, (event, _) in enumerate(FROZEN)]
)
def test_row_is_frozen(event, state):
    """This row was written by version 0.1.0; it must read and write the same for ever."""
    assert state == encode(event)
    assert event == decode(json.loads(state)["type"], state)


def test_every_event_type_has_a_frozen_row():
    """Whoever adds a type adds its row."""
    assert set(get_args(AnyEvent)) == {type(event) for event, _ in FROZEN}


def test_an_offset_stays_as_sent():
    """An auditor sees what the client wrote; the instant is the same."""
    event, state = FROZEN[0]
    assert VIETNAM.utcoffset(None) == decode("dossier.collected.v1", state).occurred_at.utcoffset()
    assert b"+07:00" in encode(event)


ENTRY = Entry(originator_id=HERE, originator_version=7, event=FROZEN[0][0])
ROW = StoredEvent(originator_id=HERE, originator_version=7, topic="dossier.collected.v1", state=FROZEN[0][1])


def test_mapper():
    """An entry becomes a row and is an entry again; nothing is encrypted, compressed or named by import path."""
    mapper = EventMapper()
    assert ROW == mapper.to_stored_event(ENTRY)
    assert ENTRY == mapper.to_domain_event(ROW)


DAMAGES = {
    "another type's topic": {"topic": "dossier.approved.v1"},
    "an import path": {"topic": "os:system", "state": b'{"type":"os:system"}'},
    "unheard of": {"topic": "dossier.lost.v1", "state": b'{"type":"dossier.lost.v1"}'},
    "not json": {"state": b"not json"},
    "empty": {"state": b""},
    "cut": {"state": ROW.state[:-2]},
    "not utf-8": {"state": ROW.state.replace(b"cb01", b"\xff\xfe")},
    "no type": {"state": ROW.state.replace(b'"type":"dossier.collected.v1",', b"")},
    "unknown field": {"state": ROW.state.replace(b'"actor"', b'"name":"A","actor"')},
    "missing field": {"state": ROW.state.replace(b'"actor":"cb01",', b"")},
    "wrong kind": {"state": ROW.state.replace(b'"level":2', b'"level":"2"')},
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_row_is_reported_with_where_it_lies(damage):
    """By the mapper, which knows stream and version."""
    with pytest.raises(MapperDeserialisationError, match=rf"{HERE}/7: "):
        EventMapper().to_domain_event(replace(ROW, **damage))


def test_damaged_row_in_the_log_is_reported(ledger, operator):
    """By every way of reading it; what does not need it goes on."""
    receipt = ledger.record(collect())
    ledger.record(collect(citizen="038090009999"))
    assert 587 == receipt.position
    # Only a superuser who means it can do this.
    operator.execute("SET session_replication_role = replica")
    for what, damage in DAMAGES.items():
        row = replace(ROW, **damage)
        operator.execute(
            "UPDATE events SET topic = %s, state = %s WHERE notification_id = 587", (row.topic, row.state)
        )
        for reading in (
            lambda: ledger.read(after=586),
            lambda: ledger.history(dossier_id=receipt.dossier_id),
            lambda: ledger.record(collect()),
        ):
            with pytest.raises(MapperDeserialisationError, match="position 587: "):
                reading()
                raise AssertionError(what)
    assert 588 == ledger.read(after=587)[0].position
    assert 1 == len(ledger.history(citizen="038090009999").events)


def test_log_is_read_in_order(ledger):
    """By position, in pages; past the end there is nothing."""
    receipts = ledger.record_many(a_life())
    entries = ledger.read(after=586, limit=2)
    assert [587, 588] == [entry.position for entry in entries]
    assert [receipt.dossier_id for receipt in receipts[:2]] == [entry.originator_id for entry in entries]
    assert {receipt.recorded_at for receipt in receipts} == {entry.recorded_at for entry in entries}
    assert [589] == [entry.position for entry in ledger.read(after=588)]
    assert [] == ledger.read(after=589)
    assert [] == ledger.read(after=10**9)
    assert UTC.utcoffset(None) == entries[0].recorded_at.utcoffset()
    head = ledger.head()
    assert (589, receipts[0].recorded_at, 586) == (head.position, head.recorded_at, head.units_version)


def test_insert_events_is_the_librarys_way_in(ledger):
    """It returns positions, records all or nothing, and none for none."""
    row = ledger.recorder.select_events(ledger.tree().resolve("38", date(2024, 1, 1)).id)
    assert [] == row
    event = FROZEN[0][0]
    rows = [
        StoredEvent(
            originator_id=HERE, originator_version=n, topic=topic_of(type(event)), state=encode(event)
        )
        for n in (1, 2)
    ]
    assert None is ledger.recorder.insert_events([])
    assert [587, 588] == ledger.recorder.insert_events(rows)
    with pytest.raises(IntegrityError):
        ledger.recorder.insert_events([replace(rows[0], originator_version=3), rows[1]])
    assert 588 == ledger.recorder.max_notification_id() == ledger.head().position


def test_making_a_ledger_connects_nothing(identities):
    """Only its first use does; so a ledger may be made before its database is up."""
    datastore = LedgerDatastore("host=127.0.0.1 port=1 connect_timeout=1", schema="ledger")
    recorder = LedgerRecorder(datastore)
    assert datastore.pool.closed
    datastore.close()
    assert "ledger.events" == recorder.channel_name


def test_errors_are_translated_in_one_place():
    """What was lost on the way is unavailable; an integrity error passes; the password is never in a sentence."""
    with (
        pytest.raises(StoreUnavailableError, match="PostgreSQL cannot be reached or went away: gone$"),
        translated(),
    ):
        raise OperationalError("gone\nDETAIL: more")
    with pytest.raises(IntegrityError), translated():
        raise IntegrityError
    with pytest.raises(PersistenceError), translated():
        raise PersistenceError


def test_a_clock_behind_the_head_is_told(ledger, operator):
    """With what to do; nothing is recorded, and once the clock is right again all goes on."""
    operator.execute("SET session_replication_role = replica")
    [[before]] = operator.execute("SELECT recorded_at FROM head").fetchall()
    operator.execute("UPDATE head SET recorded_at = clock_timestamp() + interval '90 seconds'")
    with pytest.raises(ClockBehindError, match="set the server's clock"):
        ledger.record(collect())
    operator.execute("UPDATE head SET recorded_at = %s", (before,))
    ledger.record(collect())
    check_ledger(ledger, length=587)


def test_an_append_waits_for_its_turn_and_not_for_ever(ledger, open_again, conninfo, operator, monkeypatch):
    """Whoever holds the log's lock for long hangs: the report is refused as one to be sent again."""
    monkeypatch.setattr(databases, "LOCK_SECONDS_MAX", 0.2)
    hindered = open_again()
    with psycopg.connect(conninfo) as other:
        other.execute("SELECT FROM ledger.head FOR UPDATE")
        with pytest.raises(ContentionError, match="nothing was recorded"):
            hindered.record(collect())
        assert 586 == hindered.head().position
    hindered.record(collect())
    check_ledger(ledger, length=587)


def test_sqlstate_of_the_cause(operator):
    """Programs branch on it, never on a sentence."""
    try:
        try:
            operator.execute(sql.SQL("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'AL001'; END $$"))
        except psycopg.Error as error:
            raise PersistenceError from error
    except PersistenceError as error:
        assert "AL001" == sqlstate_of(error)
    assert None is sqlstate_of(PersistenceError())


def test_queries_are_all_used():
    """A query that nobody asks is a mistake or a leftover."""
    text = Path(store.__file__).read_text(encoding="utf-8")
    assert [] == [name for name in load("ledger.sql", "log.sql") if f'"{name}"' not in text]


def test_closing_gives_back_the_connections(database, identities, operator):
    """And a closed ledger says that it is closed, in its own words."""
    with Ledger(database, identities) as ledger:
        assert 0 == ledger.head().position
    with pytest.raises(StoreUnavailableError):
        ledger.head()
    [[left]] = operator.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend' AND state <> 'idle'"
    ).fetchall()
    assert 0 == left
