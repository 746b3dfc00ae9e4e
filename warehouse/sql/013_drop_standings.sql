-- Its rows are in install_states.

DROP TABLE IF EXISTS standings$local $on_cluster SYNC;
DROP TABLE IF EXISTS standings $on_cluster SYNC;
