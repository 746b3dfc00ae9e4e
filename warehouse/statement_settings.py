"""The ClickHouse settings that Pharos sends with its statements, so that no server profile changes a result. Pure.

All names in `PINNED` exist in every supported version: a server rejects an unknown name. The server's administrator
sets the limits on resources (memory, time, rows). A limit may reject a statement, but the overflow modes prevent
truncated answers.
"""

from typing import Any

_MEANING: dict[str, str | int] = {
    # First: a profile that selects the behavior of an old version changes hundreds of settings at once.
    "compatibility": "",
    "aggregate_functions_null_for_empty": 0,
    "any_join_distinct_right_table_keys": 0,
    "apply_deleted_mask": 1,
    "asterisk_include_alias_columns": 0,
    "asterisk_include_materialized_columns": 0,
    "cast_keep_nullable": 0,
    "data_type_default_nullable": 0,
    "date_time_overflow_behavior": "ignore",
    "distributed_group_by_no_merge": 0,
    # An install is whole on its shard, so each shard joins its own rows.
    "distributed_product_mode": "local",
    "empty_result_for_aggregation_by_empty_set": 0,
    "enable_extended_results_for_datetime_functions": 0,
    "enable_positional_arguments": 1,
    "enable_unaligned_array_join": 0,
    "extremes": 0,
    "final": 0,
    "group_by_use_nulls": 0,
    "join_default_strictness": "ALL",
    "join_use_nulls": 0,
    "limit": 0,
    "offset": 0,
    "prefer_column_name_to_alias": 0,
    "session_timezone": "UTC",
    "single_join_prefer_left_table": 1,
    "skip_unavailable_shards": 0,
    "transform_null_in": 0,
    "use_query_cache": 0,
}
_OVERFLOW_MODES: dict[str, str | int] = {
    f"{limit}_overflow_mode": "throw"
    for limit in ("distinct", "group_by", "join", "read", "result", "set", "sort", "timeout", "transfer")
}
_OVERFLOW_MODES |= {"read_overflow_mode_leaf": "throw", "timeout_overflow_mode_leaf": "throw"}
_FORMATS: dict[str, str | int] = {
    "date_time_64_output_format_cut_trailing_zeros_align_to_groups_of_thousands": 0,
    "date_time_input_format": "basic",
    "date_time_output_format": "simple",
    "input_format_allow_errors_num": 0,
    "input_format_allow_errors_ratio": 0,
    "input_format_defaults_for_omitted_fields": 1,
    "input_format_force_null_for_omitted_fields": 0,
    "input_format_import_nested_json": 0,
    "input_format_json_empty_as_default": 0,
    "input_format_native_decode_types_in_binary_format": 0,
    "input_format_null_as_default": 1,
    "input_format_skip_unknown_fields": 0,
    "output_format_json_array_of_rows": 0,
    "output_format_json_named_tuples_as_objects": 1,
    "output_format_json_quote_64bit_floats": 0,
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_skip_null_value_in_named_tuples": 0,
    "output_format_json_validate_utf8": 0,
    "output_format_native_encode_types_in_binary_format": 0,
}
_INSERTS: dict[str, str | int] = {
    # On by default from ClickHouse 26.2. The server would answer before the rows are in the table.
    "async_insert": 0,
    "implicit_transaction": 0,
    # Without these, the token of a batch has no effect, or no effect on the aggregates of a materialized view.
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "materialized_views_ignore_errors": 0,
    # A batch is one block, so each partition stores all of its rows or none.
    "input_format_parallel_parsing": 0,
    "max_insert_threads": 1,
    "parallel_view_processing": 0,
    "min_insert_block_size_rows": 1_048_449,
    "min_insert_block_size_bytes": 268_402_944,
    "min_insert_block_size_rows_for_materialized_views": 0,
    "min_insert_block_size_bytes_for_materialized_views": 0,
    "max_insert_block_size": 1_048_449,
    "optimize_on_insert": 1,
    # The spool limits the months of a batch, and each part of a backup is one day.
    "max_partitions_per_insert_block": 0,
    # On a cluster, an insert returns once the rows are on their shards.
    "distributed_foreground_insert": 1,
    "insert_distributed_one_random_shard": 0,
    "insert_quorum": 0,
    "insert_shard_id": 0,
}
_DDL: dict[str, str | int] = {
    "alter_sync": 1,
    "allow_non_metadata_alters": 1,
    "distributed_ddl_output_mode": "throw",
    "flatten_nested": 1,
}
PINNED: dict[str, str | int] = {**_MEANING, **_OVERFLOW_MODES, **_FORMATS, **_INSERTS, **_DDL}
# Sent to servers that know them. `deduplicate_insert` replaces `insert_deduplicate` from ClickHouse 26.2.
PINNED_WHERE_KNOWN: dict[str, str | int] = {"deduplicate_insert": "enable"}

# The embedded engine must not drop expired data in any merge: see `warehouse/retention.py`.
NO_TTL_MERGES = "SYSTEM STOP TTL MERGES"

# For statements that name installs or beacons: no server log records when they were queried, or together with which.
UNLOGGED: dict[str, Any] = {"log_queries": 0, "log_queries_cut_to_length": 20}
# For answers in which a failure half-way would look like the end: the server sends the answer only when it is complete.
WHOLE_ANSWER: dict[str, Any] = {"wait_end_of_query": 1}
# For a server to end a statement whose connection is closed. It does so only for read-only statements.
CANCELLABLE: dict[str, Any] = {"cancel_http_readonly_queries_on_client_close": 1, "readonly": 2}
