-- roles --
-- What each of the ledger's roles is, and more than it should be.
SELECT rolname::text, rolcanlogin,
       array_remove(
           ARRAY[
               CASE WHEN rolsuper THEN 'SUPERUSER' END,
               CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
               CASE WHEN rolcreatedb THEN 'CREATEDB' END,
               CASE WHEN rolreplication THEN 'REPLICATION' END,
               CASE WHEN rolbypassrls THEN 'BYPASSRLS' END
           ],
           NULL
       )
FROM pg_roles
WHERE rolname = ANY(%(roles)s);

-- members --
-- Who is a member of the ledger's roles, and of what those are members. Whoever may make roles could become a member at
-- any time, and whoever asks knows that it is one.
SELECT member.rolname::text, held.rolname::text,
       -- Since PostgreSQL 16 each membership says so; before, the member does.
       bool_or(coalesce((to_jsonb(pg_auth_members) ->> 'inherit_option')::boolean, member.rolinherit))
FROM pg_auth_members
JOIN pg_roles AS member ON member.oid = pg_auth_members.member
JOIN pg_roles AS held ON held.oid = roleid
WHERE member.rolname = ANY(%(roles)s)
   OR (held.rolname = ANY(%(roles)s)
       AND NOT member.rolsuper
       AND NOT member.rolcreaterole
       AND member.rolname <> session_user)
GROUP BY 1, 2;

-- owners --
SELECT 'schema', nspname::text, ''::text, pg_get_userbyid(nspowner)::text
FROM pg_namespace
WHERE nspname = ANY(%(schemas)s)
UNION ALL
SELECT CASE relkind
           WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
           ELSE 'table'
       END,
       nspname, relname, pg_get_userbyid(relowner)
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY(%(schemas)s)
  AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
UNION ALL
SELECT CASE prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, nspname,
       proname::text || '(' || array_to_string(ARRAY(
           SELECT format_type(argument, NULL) FROM unnest(proargtypes) WITH ORDINALITY AS a (argument, place) ORDER BY place
       ), ', ') || ')',
       pg_get_userbyid(proowner)
FROM pg_proc
JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE nspname = ANY(%(schemas)s)
UNION ALL
SELECT 'operator', nspname,
       oprname::text || ' (' || coalesce(format_type(nullif(oprleft, 0), NULL), 'NONE') || ', ' || format_type(oprright, NULL) || ')',
       pg_get_userbyid(oprowner)
FROM pg_operator
JOIN pg_namespace ON pg_namespace.oid = oprnamespace
WHERE nspname = ANY(%(schemas)s);

-- rights --
-- Who may do what, but for owners. What was never granted or revoked is as PostgreSQL has it by default.
SELECT kind, schema, name, coalesce(attname, ''), privilege_type,
       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END, bool_or(is_grantable)
FROM (
    SELECT 'schema', nspname::text, ''::text, NULL, nspowner, coalesce(nspacl, acldefault('n', nspowner))
    FROM pg_namespace
    WHERE nspname = ANY(%(schemas)s)
    UNION ALL
    SELECT CASE relkind
               WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
               ELSE 'table'
           END,
           nspname, relname, NULL, relowner,
           coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
    FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = ANY(%(schemas)s)
      AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT 'table', nspname, relname, attname::text, relowner, attacl
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = ANY(%(schemas)s)
      AND attacl IS NOT NULL
      AND NOT attisdropped
    UNION ALL
    SELECT 'function', nspname,
           proname::text || '(' || array_to_string(ARRAY(
               SELECT format_type(argument, NULL)
               FROM unnest(proargtypes) WITH ORDINALITY AS a (argument, place)
               ORDER BY place
           ), ', ') || ')',
           NULL, proowner, coalesce(proacl, acldefault('f', proowner))
    FROM pg_proc
    JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE nspname = ANY(%(schemas)s)
    UNION ALL
    -- Parameters that only a superuser sets, unless somebody is granted that: with this one no trigger fires.
    SELECT 'parameter', '', parname, NULL, NULL, paracl
    FROM pg_parameter_acl
    WHERE parname = 'session_replication_role'
) AS things (kind, schema, name, attname, owner, acl),
     aclexplode(acl)
WHERE grantee IS DISTINCT FROM owner
GROUP BY 1, 2, 3, 4, 5, 6
UNION ALL
-- The database is the operator's; the ledger's roles make nothing in it but what is in their schema.
SELECT 'database', '', datname, '', privilege_type, pg_get_userbyid(grantee), bool_or(is_grantable)
FROM pg_database, aclexplode(datacl)
WHERE datname = current_database()
  AND privilege_type = 'CREATE'
  AND grantee <> 0
  AND pg_get_userbyid(grantee) = ANY(%(roles)s)
GROUP BY 3, 5, 6;

-- definers --
-- Functions that run with their owner's rights, and what they set.
SELECT nspname::text,
       proname::text || '(' || array_to_string(ARRAY(
           SELECT format_type(argument, NULL) FROM unnest(proargtypes) WITH ORDINALITY AS a (argument, place) ORDER BY place
       ), ', ') || ')',
       coalesce((
           SELECT setting FROM unnest(proconfig) AS s (setting) WHERE starts_with(setting, 'search_path=')
       ), '')
FROM pg_proc
JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE nspname = ANY(%(schemas)s)
  AND prosecdef;

-- triggers --
-- What each does is told with the schema's name left open, as it is declared.
SELECT nspname::text, relname::text, tgname::text, tgenabled IN ('O', 'A'),
       replace(
           replace(pg_get_triggerdef(pg_trigger.oid), ' ' || quote_ident(nspname) || '.', ' {schema}.'),
           'CREATE TRIGGER ' || quote_ident(tgname) || ' ', ''
       )
FROM pg_trigger
JOIN pg_class ON pg_class.oid = tgrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY(%(schemas)s)
  AND NOT tgisinternal;

-- rules --
-- They rewrite what is asked of a table, and no trigger hears of it.
SELECT nspname::text, relname::text, rulename::text
FROM pg_rewrite
JOIN pg_class ON pg_class.oid = ev_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY(%(schemas)s)
  AND rulename <> '_RETURN';

-- defaults --
-- What is granted of whatever will be made.
SELECT DISTINCT pg_get_userbyid(defaclrole)::text, coalesce(nspname, '')::text,
       CASE defaclobjtype
           WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS'
       END,
       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END
FROM pg_default_acl
LEFT JOIN pg_namespace ON pg_namespace.oid = defaclnamespace,
     aclexplode(defaclacl)
WHERE grantee <> defaclrole
  AND (nspname = ANY(%(schemas)s) OR pg_get_userbyid(defaclrole) = ANY(%(roles)s));

-- settings --
-- What sessions of the ledger's roles begin with, where that could change what they call or what happens to them.
SELECT rolname::text, CASE WHEN setdatabase = 0 THEN '' ELSE current_database() END::text, split_part(setting, '=', 1)
FROM pg_db_role_setting
JOIN pg_roles ON pg_roles.oid = setrole,
     unnest(setconfig) AS s (setting)
WHERE rolname = ANY(%(roles)s)
  AND (setdatabase = 0 OR setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND split_part(setting, '=', 1) IN ('search_path', 'session_replication_role', 'role', 'row_security');

-- secured --
-- Which rows of a table are seen is said by policies; the owner is bound by them only where that is forced.
SELECT nspname::text, relname::text, CASE WHEN relforcerowsecurity THEN 'FORCE' ELSE 'ENABLE' END
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY(%(schemas)s)
  AND (relrowsecurity OR relforcerowsecurity);

-- policies --
SELECT schemaname::text, tablename::text, policyname::text,
       CASE permissive WHEN 'PERMISSIVE' THEN '' ELSE 'AS RESTRICTIVE ' END
       || 'FOR ' || cmd || ' TO ' || array_to_string(roles, ', ')
       || coalesce(' USING (' || replace(qual, ' ' || quote_ident(schemaname) || '.', ' {schema}.') || ')', '')
       || coalesce(' WITH CHECK (' || replace(with_check, ' ' || quote_ident(schemaname) || '.', ' {schema}.') || ')', '')
FROM pg_policies
WHERE schemaname = ANY(%(schemas)s);

-- made --
-- Functions as they are made, whole; and of tables columns, constraints and indexes. The schema's name is always quoted, as
-- in the migrations. An index that is one of a constraint is told with that; so is that it holds nobody back.
SELECT 'function', nspname::text,
       proname::text || '(' || array_to_string(ARRAY(
           SELECT format_type(argument, NULL) FROM unnest(proargtypes) WITH ORDINALITY AS a (argument, place) ORDER BY place
       ), ', ') || ')',
       ''::text,
       regexp_replace(
           pg_get_functiondef(pg_proc.oid),
           '^(CREATE OR REPLACE FUNCTION )' || quote_ident(nspname) || '\.',
           '\1"' || nspname || '".'
       )
FROM pg_proc
JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE nspname = ANY(%(schemas)s)
  AND prokind = 'f'
UNION ALL
SELECT 'column', nspname, relname, attname,
       format_type(atttypid, atttypmod)
       || CASE WHEN attcollation <> typcollation THEN ' COLLATE ' || quote_ident(collname) ELSE '' END
       || coalesce(CASE attgenerated WHEN '' THEN ' DEFAULT ' ELSE ' GENERATED ' END || pg_get_expr(adbin, adrelid), '')
       || CASE attidentity WHEN '' THEN '' ELSE ' IDENTITY' END
       || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
JOIN pg_type ON pg_type.oid = atttypid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
LEFT JOIN pg_collation ON pg_collation.oid = attcollation
WHERE nspname = ANY(%(schemas)s)
  AND relkind = 'r'
  AND attnum > 0
  AND NOT attisdropped
UNION ALL
SELECT 'constraint', nspname, relname, conname,
       pg_get_constraintdef(pg_constraint.oid)
       || CASE
              WHEN contype NOT IN ('p', 'u') OR (indisunique AND indimmediate AND indisvalid AND indisready AND indislive) THEN ''
              ELSE ', which its index does not enforce'
          END
FROM pg_constraint
JOIN pg_class ON pg_class.oid = conrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
LEFT JOIN pg_index ON indexrelid = conindid
WHERE nspname = ANY(%(schemas)s)
  -- Since PostgreSQL 18 NOT NULL is one of them; columns say it.
  AND contype <> 'n'
UNION ALL
SELECT 'index', nspname, pg_class.relname, index.relname,
       replace(pg_get_indexdef(indexrelid), ' ON ' || quote_ident(nspname) || '.', ' ON "' || nspname || '".')
       || CASE WHEN indisvalid AND indisready AND indislive THEN '' ELSE ', not valid' END
FROM pg_index
JOIN pg_class ON pg_class.oid = indrelid
JOIN pg_class AS index ON index.oid = indexrelid
JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
WHERE nspname = ANY(%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'));

-- unlogged --
SELECT nspname::text, relname::text
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY(%(schemas)s)
  AND relkind = 'r'
  AND relpersistence <> 'p';

-- heirs --
-- Wherever they stand: the search path makes regclass tell the schema.
SELECT nspname::text, relname::text, inhrelid::regclass::text
FROM pg_inherits
JOIN pg_class ON pg_class.oid = inhparent
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY(%(schemas)s)
  AND relkind <> 'i';
