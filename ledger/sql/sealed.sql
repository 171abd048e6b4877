-- wrapped_with --
-- How many citizens need each wrapping key; the first byte of a wrapped key is its number.
SELECT get_byte(key, 0), count(*)
FROM {schema}.citizens
GROUP BY 1
ORDER BY 1;

-- claimed_key --
SELECT value
FROM {schema}.key_check;

-- lock_keys --
-- Held by a session until its end, whatever ends it.
SELECT pg_try_advisory_lock(%(lock)s::int, hashtext(%(schema)s));

-- keys_to_rewrap --
-- Citizens whose key is wrapped with an older one, in the order of their dossiers: dossiers that begin meanwhile come last.
SELECT dossier_id, key
FROM {schema}.citizens
WHERE dossier_id > %(after)b::uuid
  AND get_byte(key, 0) < %(newest)s::int
ORDER BY dossier_id
LIMIT %(limit)s;

-- rewrap --
SELECT {schema}.rewrap(%(dossiers)b::uuid[], %(old_keys)b::bytea[], %(new_keys)b::bytea[]);

-- refuse_key --
-- From now on nothing more can be sealed with it. What is there already is not looked at, so this takes no time.
ALTER TABLE {schema}.citizens
ADD CONSTRAINT {constraint} CHECK (get_byte(key, 0) <> {number}) NOT VALID;

-- check_key_unused --
-- Look at all that is there; others read and write meanwhile.
ALTER TABLE {schema}.citizens
VALIDATE CONSTRAINT {constraint};

-- take_key_again --
ALTER TABLE {schema}.citizens
DROP CONSTRAINT IF EXISTS {constraint};

-- erase --
SELECT first_position, recorded
FROM {schema}.erase(%(dossier)b::uuid, %(version)s::bigint, %(state)b::bytea);

-- vacuum --
VACUUM {schema}.citizens;
