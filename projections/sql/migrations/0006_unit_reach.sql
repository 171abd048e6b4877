-- Who asks the read models directly sees the units that it was let to see, with everything under them.

-- Every leaf that counts at a unit or under it: itself, what has ended and counts there since, what was allocated. Written
-- anew with the counts of the first events after each change of the tree.
CREATE TABLE {schema}.unit_reach (
    unit_id uuid NOT NULL,
    leaf_id uuid NOT NULL,
    -- From a day on and before another.
    first   date NOT NULL,
    after   date NOT NULL,
    PRIMARY KEY (unit_id, leaf_id, first)
);

-- What each unit is called, and where it stands; of a unit that was renamed or moved, several.
CREATE TABLE {schema}.unit_names (
    unit_id    uuid NOT NULL,
    code       text NOT NULL,
    name       text NOT NULL,
    level      text NOT NULL,
    parent_id  uuid,
    valid_from date NOT NULL,
    -- The last day; NULL: no end is known.
    valid_to   date
);

-- Which version of the tree these tables hold.
CREATE TABLE {schema}.unit_tree (
    version bigint NOT NULL
);

-- Which roles see which units. Written by hand, as this table's owner or a superuser; by no program.
CREATE TABLE {schema}.unit_readers (
    reader  name NOT NULL,
    unit_id uuid NOT NULL,
    PRIMARY KEY (reader, unit_id)
);

-- What a role sees today: by itself, or as a member of a role that does.
--
-- A function, and not a query in the policies: they would hang on the table, which a rebuild replaces.
CREATE FUNCTION {schema}.readable_leaves(who name)
RETURNS SETOF uuid
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT leaf_id
    FROM {schema}.unit_reach
    WHERE (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date >= first
      AND (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date < after
      AND unit_id IN (
          SELECT unit_readers.unit_id
          FROM {schema}.unit_readers
          JOIN pg_roles ON rolname = reader
          WHERE pg_has_role(who, pg_roles.oid, 'USAGE')
      );
$$;

REVOKE ALL ON FUNCTION {schema}.readable_leaves(name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {schema}.readable_leaves(name) TO {reader};
GRANT SELECT ON {schema}.unit_reach, {schema}.unit_names, {schema}.unit_tree TO {reader};

ALTER TABLE {schema}.unit_totals_ever ENABLE ROW LEVEL SECURITY;
CREATE POLICY application ON {schema}.unit_totals_ever FOR SELECT TO {writer} USING (true);
CREATE POLICY readers ON {schema}.unit_totals_ever FOR SELECT TO {reader}
    USING (leaf_id IN (SELECT {schema}.readable_leaves(current_user)));

ALTER TABLE {schema}.unit_totals_month ENABLE ROW LEVEL SECURITY;
CREATE POLICY application ON {schema}.unit_totals_month FOR SELECT TO {writer} USING (true);
CREATE POLICY readers ON {schema}.unit_totals_month FOR SELECT TO {reader}
    USING (leaf_id IN (SELECT {schema}.readable_leaves(current_user)));

ALTER TABLE {schema}.unit_totals_pentad ENABLE ROW LEVEL SECURITY;
CREATE POLICY application ON {schema}.unit_totals_pentad FOR SELECT TO {writer} USING (true);
CREATE POLICY readers ON {schema}.unit_totals_pentad FOR SELECT TO {reader}
    USING (leaf_id IN (SELECT {schema}.readable_leaves(current_user)));

ALTER TABLE {schema}.unit_totals_day ENABLE ROW LEVEL SECURITY;
CREATE POLICY application ON {schema}.unit_totals_day FOR SELECT TO {writer} USING (true);
CREATE POLICY readers ON {schema}.unit_totals_day FOR SELECT TO {reader}
    USING (leaf_id IN (SELECT {schema}.readable_leaves(current_user)));

ALTER TABLE {schema}.unit_totals_deltas ENABLE ROW LEVEL SECURITY;
CREATE POLICY application ON {schema}.unit_totals_deltas FOR SELECT TO {writer} USING (true);
CREATE POLICY readers ON {schema}.unit_totals_deltas FOR SELECT TO {reader}
    USING (leaf_id IN (SELECT {schema}.readable_leaves(current_user)));

ALTER TABLE {schema}.worklist ENABLE ROW LEVEL SECURITY;
CREATE POLICY application ON {schema}.worklist FOR SELECT TO {writer} USING (true);
CREATE POLICY readers ON {schema}.worklist FOR SELECT TO {reader}
    USING (leaf_id IN (SELECT {schema}.readable_leaves(current_user)));

ALTER TABLE {schema}.worklist_times ENABLE ROW LEVEL SECURITY;
CREATE POLICY application ON {schema}.worklist_times FOR SELECT TO {writer} USING (true);
CREATE POLICY readers ON {schema}.worklist_times FOR SELECT TO {reader}
    USING (leaf_id IN (SELECT {schema}.readable_leaves(current_user)));
