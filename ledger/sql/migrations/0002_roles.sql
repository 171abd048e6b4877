-- People look through the log as the auditor; the reader of read models needs nothing of it but the schema. Who migrates
-- sees what was applied before it becomes the owner.

GRANT USAGE ON SCHEMA {schema} TO {migrator}, {reader}, {auditor};
GRANT SELECT ON {schema}.head, {schema}.events TO {auditor};
GRANT SELECT ON {schema}.migrations TO {migrator}, {auditor};
