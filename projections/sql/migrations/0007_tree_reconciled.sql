-- Who reconciles reads the tree that direct readers' rows are chosen by, as the application.

GRANT SELECT ON {schema}.unit_reach, {schema}.unit_names, {schema}.unit_tree TO {writer};
