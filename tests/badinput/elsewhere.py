"""Limits that other tests than `test_limits` try, each with its test."""

_EVENT_STORE = "tests/unit/eventstore/test_event_store_bounds.py::test_requests_are_bounded"
_MANIFESTS = "tests/unit/plugins/test_manifest.py::test_a_wrong_manifest_is_refused"
_DASHBOARDS = "tests/unit/dashboards/test_document.py::test_bounds"
_MODULE_TYPES = "tests/unit/apphost/test_module_types.py"

ELSEWHERE = {
    "number of a version of a workspace file that moves": (
        "tests/unit/identity/test_bounds.py::test_numbers_of_versions_are_bounded"
    ),
    "secrets of a spec of agents": ("tests/unit/fleet/test_checks.py::test_bounds_of_specs"),
    "endpoints of the connections of a spec of agents": (
        "tests/unit/fleet/test_checks.py::test_bounds_of_specs"
    ),
    "plugins that a release names": f"{_MODULE_TYPES}::test_plugins_of_a_release_are_bounded",
    "modules of these plugins together": f"{_MODULE_TYPES}::test_their_modules_are_bounded",
    "conditions of a series": "tests/unit/observe/test_series.py::test_wrong_requests",
    "points of a series": "tests/unit/observe/test_series.py::test_wrong_requests",
    "window of an objective": "tests/unit/observe/test_slos.py::test_wrong_objectives",
    "stored objectives": "tests/integration/observe/test_slo_store.py::test_a_full_namespace",
    "burn rate that raises an alert": "tests/unit/observe/test_slos.py::test_burn_rates_of_alerts",
    "saved dashboards": "tests/integration/observe/test_dashboard_store.py::test_a_full_namespace",
    "document of a dashboard": _DASHBOARDS,
    "panels of a dashboard": _DASHBOARDS,
    "series of a panel": _DASHBOARDS,
    "conditions of a series of a panel": _DASHBOARDS,
    "time that a dashboard shows": _DASHBOARDS,
    "titles and labels of a dashboard": _DASHBOARDS,
    "name of a plugin": _MANIFESTS,
    "libraries of a plugin": _MANIFESTS,
    "task types of a plugin": _MANIFESTS,
    "permissions of a plugin": _MANIFESTS,
    "configuration of a plugin": (
        "tests/unit/plugins/test_manifest.py::test_a_wrong_configuration_is_refused"
    ),
    "wheel of a plugin": ("tests/unit/plugins/test_wheels.py::test_a_large_wheel_is_refused"),
    "files of a plugin": ("tests/unit/plugins/test_wheels.py::test_too_many_files_are_refused"),
    "files of a plugin together": (
        "tests/unit/plugins/test_wheels.py::test_an_archive_that_grows_is_refused"
    ),
    "text for a format of a plugin": (
        "tests/unit/plugins/test_formats.py::test_a_text_that_is_too_long_is_refused"
    ),
    "index of a catalogue of plugins": (
        "tests/unit/plugins/test_catalogue.py::test_an_index_is_bounded"
    ),
    "wheels of a catalogue of plugins": (
        "tests/unit/plugins/test_catalogue.py::test_an_index_is_bounded"
    ),
    "open calls of a session": (
        "tests/integration/orchestrator/test_session.py::test_a_full_session_names_its_limit"
    ),
    "responses that a session does not read": (
        "tests/integration/orchestrator/test_session.py"
        "::test_a_client_that_does_not_read_is_cut_off"
    ),
    "members that a request of SCIM changes": (
        "tests/features/logins/test_scim.py::test_a_request_changes_a_bounded_number_of_members"
    ),
    "line that a command as a worker writes": (
        "tests/features/agents/test_commands.py::test_a_crash_fails_one_attempt"
    ),
    "review of the admission webhook": (
        "tests/integration/operator/test_webhook.py::test_a_review_has_three_mebibytes_at_most"
    ),
    "signals with a key that a namespace keeps": (
        "tests/integration/orchestrator/test_kept_signals.py"
        "::test_a_namespace_keeps_a_bounded_number_of_signals"
    ),
    "values of the signals that a namespace keeps": (
        "tests/integration/orchestrator/test_kept_signals.py"
        "::test_a_namespace_keeps_a_bounded_size_of_signals"
    ),
    "time to live of a signal with a key": (
        "tests/features/executions/test_kept_signals.py::test_a_time_to_live_is_at_most_a_week"
    ),
    "name of a schema, table or publication of a change trigger": (
        "tests/unit/definitions/checks/test_change_triggers.py"
        "::test_a_wrong_change_trigger_has_a_place"
    ),
    "log kept for a paused change trigger": (
        "tests/unit/definitions/checks/test_change_triggers.py"
        "::test_a_wrong_change_trigger_has_a_place"
    ),
    "timeout of a health check": (
        "tests/integration/registry/test_checks.py::test_a_wrong_check_is_refused"
    ),
    "threshold of a health check": (
        "tests/integration/registry/test_checks.py::test_a_wrong_check_is_refused"
    ),
    "path of a health check": (
        "tests/integration/registry/test_checks.py::test_a_wrong_check_is_refused"
    ),
    "hosted applications of a namespace": (
        "tests/integration/apphost/test_store.py::test_applications_of_a_namespace_are_bounded"
    ),
    "documents of applications that wait for a check": (
        "tests/unit/apphost/test_bounds.py::test_checks_of_documents_are_bounded"
    ),
    "document and files of a release": (
        "tests/unit/apphost/test_bounds.py::test_documents_and_files_are_bounded_together"
    ),
    "files of a release": "tests/unit/apphost/test_bounds.py::test_files_are_bounded",
    "path of a file of a release": "tests/unit/apphost/test_bounds.py::test_files_are_bounded",
    "variables of a release": "tests/unit/apphost/test_bounds.py::test_variables_are_bounded",
    "value of a variable of a release": (
        "tests/unit/apphost/test_bounds.py::test_variables_are_bounded"
    ),
    "name of a hosted application": "tests/unit/apphost/test_bounds.py::test_names_are_bounded",
    "connections of an HTTP client of a hosted application": (
        "tests/unit/apps/test_confinement.py"
        "::test_clients_of_hosted_applications_have_bounded_connections"
    ),
    "records of the log of an application": (
        "tests/features/application_hosts/test_apphost.py::test_wrong_calls_are_refused"
    ),
    "agents of a spec": ("tests/unit/fleet/test_checks.py::test_bounds_of_specs"),
    "specs of agents of a namespace": (
        "tests/unit/fleet/test_checks.py::test_specs_of_a_namespace_are_bounded"
    ),
    "words of the command of an agent": ("tests/unit/fleet/test_checks.py::test_bounds_of_specs"),
    "command of an agent": ("tests/unit/fleet/test_checks.py::test_bounds_of_specs"),
    "files of a spec of agents": ("tests/unit/fleet/test_checks.py::test_bounds_of_specs"),
    "files of a spec of agents together": ("tests/unit/fleet/test_checks.py::test_bounds_of_specs"),
    "variables of a spec of agents": ("tests/unit/fleet/test_checks.py::test_bounds_of_specs"),
    "value of a variable of a spec of agents": (
        "tests/unit/fleet/test_checks.py::test_bounds_of_specs"
    ),
    "queues or task types of a spec of agents": (
        "tests/unit/fleet/test_checks.py::test_bounds_of_specs"
    ),
    "tasks of an agent at once": ("tests/unit/fleet/test_checks.py::test_bounds_of_specs"),
    "timeouts of agents and pauses of policies": (
        "tests/unit/fleet/test_checks.py::test_bounds_of_specs"
    ),
    "processors of an agent": ("tests/unit/fleet/test_checks.py::test_bounds_of_specs"),
    "parts of the schedule of a policy of agents": (
        "tests/unit/fleet/test_checks.py::test_rules_of_policies"
    ),
    "time of a part of a schedule": ("tests/unit/fleet/test_checks.py::test_rules_of_policies"),
    "gauges that an agent reports": "tests/unit/fleet/test_checks.py::test_gauges_of_agents",
    "value of a gauge of an agent": "tests/unit/fleet/test_checks.py::test_gauges_of_agents",
    "name of a spec or of a policy of agents": (
        "tests/unit/fleet/test_checks.py::test_bounds_of_specs"
    ),
    "gRPC metadata": "tests/features/rest/test_bad_calls.py::test_large_metadata_is_refused",
    "calls of a connection": "tests/badinput/test_connections.py::test_many_calls",
    "calls of a connection between services": (
        "tests/integration/runtime/test_connections.py::test_one_call_more_waits_for_its_turn"
    ),
    "HTTP connections": "tests/badinput/test_connections.py::test_silent_connections",
    "executions of a key that wait to begin": (
        "tests/unit/orchestrator/limits/test_concurrency_groups.py::test_a_line_is_bounded"
    ),
    "executions with a concurrency key": (
        "tests/unit/orchestrator/limits/test_concurrency_groups.py::test_a_line_is_bounded"
    ),
    "events of a history": (
        "tests/unit/engine/test_bounds.py::test_a_history_at_its_limit_ends_its_execution"
    ),
    "nesting of pipelines": (
        "tests/unit/transforms/test_pipelines.py::test_a_pipeline_is_an_array_of_at_most_a_hundred"
    ),
    "jq and JMESPath": (
        "tests/unit/sandbox/test_jq.py::test_what_is_no_program_is_known_before_it_runs"
    ),
    "items of a pipeline": (
        "tests/unit/transforms/test_bounds.py::test_what_an_operation_yields_is_bounded"
    ),
    "items of all operations of a pipeline": (
        "tests/unit/transforms/test_bounds.py::test_what_all_operations_yield_is_bounded"
    ),
    "text that an operation writes": (
        "tests/unit/transforms/test_bounds.py::test_what_an_operation_yields_is_bounded"
    ),
    "result of an operation": (
        "tests/unit/transforms/test_bounds.py::test_a_value_that_stands_in_itself_twice_is_measured"
    ),
    "CPU of jq, JMESPath and JSONata": (
        "tests/unit/sandbox/test_bounds.py::test_an_endless_program_has_so_much_cpu_time"
    ),
    "CPU of a pipeline in a process of the sandbox": (
        "tests/unit/sandbox/test_bounds.py::test_an_endless_pipeline_has_so_much_cpu_time"
    ),
    "input and result of such a pipeline": (
        "tests/unit/sandbox/test_bounds.py::test_a_pipeline_has_so_much_input"
    ),
    "calls of one namespace that wait for the sandbox": (
        "tests/unit/sandbox/test_turns.py::test_queues_are_bounded_by_namespace"
    ),
    "name of a person that an approval asks": (
        "tests/unit/engine/test_approvals.py::test_a_name_that_no_column_takes_fails_the_node"
    ),
    "process of jq and JMESPath": (
        "tests/unit/sandbox/test_jq.py::test_a_program_that_grows_is_stopped"
    ),
    "filter": "tests/badinput/test_filters.py::test_filters_are_bounded",
    "values of a filter": "tests/badinput/test_filters.py::test_filters_are_bounded",
    "nesting of a filter": "tests/badinput/test_filters.py::test_filters_are_bounded",
    "labels of an execution": (
        "tests/features/executions/test_searches.py::test_labels_and_paces_are_bounded"
    ),
    "pace of a bulk": (
        "tests/features/executions/test_searches.py::test_labels_and_paces_are_bounded"
    ),
    "pages of a map": (
        "tests/unit/definitions/formats/test_pages.py"
        "::test_a_map_by_pages_has_so_many_pages_at_most"
    ),
    "delay that is computed": "tests/unit/engine/test_bodies.py::test_the_longest_delay_is_taken",
    "cursor of a page": "tests/unit/engine/test_pages.py::test_a_cursor_is_small",
    "form of an approval link": (
        "tests/features/executions/test_approval_links.py::test_a_form_that_is_none_is_refused"
    ),
    "fields of the form of an approval link": (
        "tests/features/executions/test_approval_links.py::test_a_form_that_is_none_is_refused"
    ),
    "validity of an approval link": (
        "tests/features/executions/test_approval_links.py::test_links_are_made_only_for_assignees"
    ),
    "attempts of a dry run": "tests/unit/dryrun/test_run.py::test_a_run_without_end_is_refused",
    "headers of a call in bytes": (
        "tests/unit/egress/test_headers.py::test_there_is_a_limit_to_their_bytes"
    ),
    "executions below one another": (
        "tests/unit/engine/test_children.py::test_a_workflow_that_starts_itself_ends_at_a_depth"
    ),
    "key of a signal, a child or its id": (
        "tests/unit/engine/test_children.py::test_a_key_that_is_no_text_fails_the_wait"
    ),
    "records of the journal of a durable handler": (
        "tests/unit/engine/test_durable.py::test_a_journal_is_bounded"
    ),
    "values in the journal of a durable handler": (
        "tests/unit/engine/test_durable.py::test_a_journal_is_bounded"
    ),
    "use of one answer of a model": (
        "tests/unit/engine/test_durable.py::test_what_is_no_record_fails_the_handler"
    ),
    "text of a label or search attribute": (
        "tests/features/executions/test_searches.py::test_labels_and_paces_are_bounded"
    ),
    "value of a variable": (
        "tests/features/executions/test_variables.py::test_a_value_that_does_not_fit_is_refused"
    ),
    "changes of the variables of an execution": (
        "tests/unit/engine/test_variables.py::test_changes_are_bounded"
    ),
    "labels of the versions of a workflow": (
        "tests/integration/definition/test_changes.py::test_labels_are_bounded"
    ),
    "details of a heartbeat": (
        "tests/unit/sdk/worker/test_results.py::test_details_of_a_heartbeat_are_bounded"
    ),
    "slug": "tests/unit/identity/test_bounds.py::test_slugs_and_names_are_bounded",
    "name of a tenant, user or key": (
        "tests/unit/identity/test_bounds.py::test_slugs_and_names_are_bounded"
    ),
    "email address": "tests/unit/identity/test_bounds.py::test_email_addresses_are_bounded",
    "body of a login or a refresh": (
        "tests/features/rest/test_sessions.py::test_a_huge_password_is_refused"
    ),
    "password": "tests/unit/identity/test_bounds.py::test_passwords_are_judged",
    "queues, task types, networks or permissions of an API key": (
        "tests/unit/identity/test_bounds.py::test_lists_of_a_key_are_bounded"
    ),
    "overlap of the secrets of an API key": (
        "tests/unit/identity/test_bounds.py::test_the_overlap_of_secrets_is_bounded"
    ),
    "workspace file": (
        "tests/features/security/test_files.py::test_64_mib_are_stored_and_one_byte_more_is_not"
    ),
    "path of a workspace file": (
        "tests/features/security/test_files.py::test_a_hostile_path_is_refused"
    ),
    "segment of the path of a workspace file": (
        "tests/features/security/test_files.py::test_a_hostile_path_is_refused"
    ),
    "value of a quota": "tests/unit/identity/test_bounds.py::test_quotas_are_bounded",
    "hours of a usage report": (
        "tests/features/tenants/test_quotas.py::test_usage_counts_executions_per_hour"
    ),
    "value of a secret": "tests/unit/identity/test_bounds.py::test_secrets_are_bounded",
    "secrets of a namespace": "tests/unit/identity/test_bounds.py::test_secrets_are_bounded",
    "secrets of a task": "tests/unit/identity/test_bounds.py::test_secrets_are_bounded",
    "filter of an audit search": "tests/unit/identity/test_audit.py::test_filters_are_bounded",
    "records of changes that a service sends at once": (
        "tests/unit/identity/test_audit.py::test_calls_of_services_are_bounded"
    ),
    "text of an audit entry": "tests/unit/identity/test_audit.py::test_records_are_bounded",
    "object in an audit entry": "tests/unit/identity/test_audit.py::test_records_are_bounded",
    "refusals that wait for the audit log": (
        "tests/unit/identity/test_audit.py::test_refusals_that_wait_are_bounded"
    ),
    "credential of a client": (
        "tests/unit/sdk/client/test_credentials.py"
        "::test_a_malformed_credential_is_refused_without_naming_it"
    ),
    "delay after failed logins": "tests/integration/identity/test_attempts.py::test_delays_double",
    "failed logins of an account in an hour": (
        "tests/integration/identity/test_attempts.py"
        "::test_many_networks_are_bounded_but_for_known_ones"
    ),
    "logins of one network that wait for their turn": (
        "tests/unit/identity/test_bounds.py::test_logins_that_wait_are_bounded_by_network"
    ),
    "processes of a worker": (
        "tests/unit/sdk/worker/test_processes.py::test_what_no_other_process_can_find_is_refused"
    ),
    "results that a worker sends ahead": (
        "tests/integration/worker/test_remote.py"
        "::test_more_unacknowledged_results_than_allowed_end_the_stream"
    ),
    "body of a message": "tests/unit/broker/test_broker_bounds.py::test_messages_are_bounded",
    "batch of messages": (
        "tests/features/broker/test_broker_hostile.py::test_bodies_and_batches_have_a_limit"
    ),
    "bodies of a batch of messages": (
        "tests/features/broker/test_broker_hostile.py::test_bodies_and_batches_have_a_limit"
    ),
    "headers of a message": "tests/unit/broker/test_broker_bounds.py::test_messages_are_bounded",
    "headers of a message together": (
        "tests/unit/broker/test_broker_bounds.py::test_headers_are_bounded_together"
    ),
    "routing key": "tests/unit/broker/test_broker_bounds.py::test_messages_are_bounded",
    "content type, correlation id or reply address of a message": (
        "tests/unit/broker/test_broker_bounds.py::test_messages_are_bounded"
    ),
    "priority of a message": "tests/unit/broker/test_broker_bounds.py::test_messages_are_bounded",
    "time to live": "tests/unit/broker/test_broker_bounds.py::test_messages_are_bounded",
    "delay of a message": "tests/unit/broker/test_broker_bounds.py::test_messages_are_bounded",
    "body of a message by reference": (
        "tests/unit/broker/test_broker_bounds.py::test_messages_are_bounded"
    ),
    "delayed messages": (
        "tests/unit/broker/test_broker_bounds.py::test_delayed_messages_are_bounded"
    ),
    "queues watched by a stream": (
        "tests/unit/broker/test_broker_bounds.py::test_watches_are_bounded"
    ),
    "streams that watch queues": (
        "tests/unit/broker/test_broker_bounds.py::test_watches_are_bounded"
    ),
    "messages of a batch of a queue trigger": (
        "tests/unit/broker/test_broker_bounds.py::test_batches_of_triggers_are_bounded"
    ),
    "time in which a queue trigger collects a batch": (
        "tests/unit/broker/test_broker_bounds.py::test_batches_of_triggers_are_bounded"
    ),
    "queues of messages of a namespace": (
        "tests/unit/broker/test_broker_bounds.py::test_namespaces_are_bounded"
    ),
    "exchanges of a namespace": (
        "tests/unit/broker/test_broker_bounds.py::test_namespaces_are_bounded"
    ),
    "bindings of a namespace": (
        "tests/unit/broker/test_broker_bounds.py::test_namespaces_are_bounded"
    ),
    "`max_size` of a queue": (
        "tests/unit/broker/test_broker_bounds.py::test_declarations_are_bounded"
    ),
    "`max_bytes` of a queue": (
        "tests/unit/broker/test_broker_bounds.py::test_declarations_are_bounded"
    ),
    "schema of a queue": "tests/unit/broker/test_broker_bounds.py::test_declarations_are_bounded",
    "attempts of a message": (
        "tests/unit/broker/test_broker_bounds.py::test_declarations_are_bounded"
    ),
    "growth of retry delays": (
        "tests/unit/broker/test_broker_bounds.py::test_declarations_are_bounded"
    ),
    "delay of a redelivery": (
        "tests/unit/broker/test_broker_bounds.py::test_declarations_are_bounded"
    ),
    "visibility timeout": "tests/unit/broker/test_broker_bounds.py::test_declarations_are_bounded",
    "credit of a consumer": (
        "tests/features/broker/test_broker_hostile.py"
        "::test_a_stream_of_a_consumer_begins_with_a_valid_hello"
    ),
    "messages received or settled by a call": (
        "tests/unit/broker/test_broker_bounds.py::test_requests_are_bounded"
    ),
    "wait for messages": "tests/unit/broker/test_broker_bounds.py::test_requests_are_bounded",
    "messages browsed or discarded by a call": (
        "tests/unit/broker/test_broker_bounds.py::test_requests_are_bounded"
    ),
    "messages redriven by a call": (
        "tests/unit/broker/test_broker_bounds.py::test_requests_are_bounded"
    ),
    "data of a stored event": _EVENT_STORE,
    "metadata of a stored event": _EVENT_STORE,
    "type of a stored event, or key of a state": _EVENT_STORE,
    "snapshot of a stream": _EVENT_STORE,
    "types of a filter of events": _EVENT_STORE,
    "`max_events` of a stream": _EVENT_STORE,
    "`max_age_ms` of a stream": _EVENT_STORE,
    "lease of a delivered event": _EVENT_STORE,
    "attempts of an event": _EVENT_STORE,
    "retry delay of an event": _EVENT_STORE,
    "events received or settled by a call": _EVENT_STORE,
    "wait for events": _EVENT_STORE,
    "groups of consumers of a namespace": (
        "tests/unit/eventstore/test_event_store_bounds.py::test_namespaces_are_bounded"
    ),
    "projections of a namespace": (
        "tests/unit/eventstore/test_event_store_bounds.py::test_namespaces_are_bounded"
    ),
    "states of a commit": _EVENT_STORE,
    "state of a projection": _EVENT_STORE,
    "events of an append": _EVENT_STORE,
    "bytes of an append, or of the states of a commit": (
        "tests/unit/eventstore/test_event_store_bounds.py::test_appends_are_bounded_together"
    ),
    "types of a subscription": (
        "tests/unit/event/test_subscription_bounds.py::test_subscriptions_are_bounded"
    ),
    "type, source or description of a subscription": (
        "tests/unit/event/test_subscription_bounds.py::test_subscriptions_are_bounded"
    ),
    "filter of a subscription": (
        "tests/unit/event/test_subscription_bounds.py::test_subscriptions_are_bounded"
    ),
    "template of a subscription": (
        "tests/unit/event/test_subscription_bounds.py::test_subscriptions_are_bounded"
    ),
    "headers of a webhook sink": (
        "tests/unit/event/test_subscription_bounds.py::test_subscriptions_are_bounded"
    ),
    "attempts of a notification": (
        "tests/unit/event/test_subscription_bounds.py::test_subscriptions_are_bounded"
    ),
    "notifications of a subscription in flight": (
        "tests/unit/event/test_subscription_bounds.py::test_subscriptions_are_bounded"
    ),
    "failures that open a breaker": (
        "tests/unit/event/test_subscription_bounds.py::test_subscriptions_are_bounded"
    ),
    "events of an alert rule": (
        "tests/unit/event/test_subscription_bounds.py::test_subscriptions_are_bounded"
    ),
    "overlap of two secrets": (
        "tests/unit/event/test_subscription_bounds.py::test_overlaps_and_resends_are_bounded"
    ),
    "notifications resent by id": (
        "tests/unit/event/test_subscription_bounds.py::test_overlaps_and_resends_are_bounded"
    ),
    "durable subscriptions of a namespace": (
        "tests/features/events/test_subscription_surfaces.py::test_subscriptions_are_bounded"
    ),
    "step of a series of counts": (
        "tests/features/operations/test_console_routes.py::test_a_series_counts_by_steps_of_time"
    ),
    "reveals that wait for the audit log": (
        "tests/unit/identity/test_audit.py::test_reveals_that_wait_are_bounded"
    ),
    "identity providers of a company": (
        "tests/features/security/test_oidc.py::test_providers_of_a_company_are_bounded"
    ),
    "certificates of an identity provider": (
        "tests/features/logins/test_saml.py::test_settings_and_metadata"
    ),
    "form of an identity provider": (
        "tests/features/logins/test_saml.py::test_messages_that_are_none_are_refused"
    ),
    "message of a SAML provider": (
        "tests/features/logins/test_saml.py::test_messages_that_are_none_are_refused"
    ),
    "executions of which an optimization reads the durations": (
        "tests/features/operations/test_optimizing.py::test_proposals_have_a_gain_and_are_rehearsed"
    ),
    "rules of an identity provider": (
        "tests/features/security/test_oidc.py::test_settings_that_cannot_work_or_give_too_much"
    ),
    "text of a setting of an identity provider": (
        "tests/features/security/test_oidc.py::test_settings_that_cannot_work_or_give_too_much"
    ),
    "document of an identity provider": (
        "tests/features/security/test_oidc.py::test_documents_out_of_bounds_are_refused"
    ),
    "token of an identity provider": (
        "tests/unit/identity/test_login_bounds.py::test_tokens_of_providers_are_bounded"
    ),
    "login at an identity provider": (
        "tests/unit/identity/test_login_bounds.py::test_a_login_is_completed_in_time"
    ),
    "input of JavaScript": "tests/unit/sandbox/test_sandbox.py::test_oversize_requests_are_refused",
}
