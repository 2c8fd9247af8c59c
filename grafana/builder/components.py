"""What programs that are not ours tell of themselves, as far as rules and dashboards ask for it."""

# By metric its labels, besides those of every scrape.
METRICS: dict[str, tuple[str, ...]] = {
    # What vmagent adds to every scrape.
    "up": ("tier",),
    "scrape_duration_seconds": ("tier",),
    "scrape_timeout_seconds": ("tier",),
    # What programs tell of themselves.
    "process_start_time_seconds": ("tier",),
    "process_cpu_seconds_total": ("tier",),
    "process_resident_memory_bytes": ("tier",),
    "vm_promscrape_scraped_samples_sum": (),
    "vm_promscrape_scrapes_failed_total": (),
    "vm_cache_entries": ("type", "tier"),
    "vm_data_size_bytes": ("type", "tier"),
    "vm_rows": ("type", "tier"),
    "vm_rows_added_to_storage_total": ("tier",),
    "vm_new_timeseries_created_total": ("tier",),
    "vm_slow_row_inserts_total": ("tier",),
    "vm_request_duration_seconds": ("path", "quantile", "tier"),
    "vmalert_iteration_duration_seconds": ("group", "file", "quantile"),
    "vm_persistentqueue_bytes_dropped_total": ("path",),
    "vmagent_remotewrite_packets_dropped_total": ("url",),
    "vmagent_remotewrite_pending_data_bytes": ("path", "url"),
    "vm_free_disk_space_bytes": ("path", "tier"),
    "vm_free_disk_space_limit_bytes": ("path", "tier"),
    "vm_storage_is_read_only": ("path", "tier"),
    "vmalert_alerting_rules_errors_total": ("alertname", "group", "file"),
    "vmalert_recording_rules_errors_total": ("recording", "group", "file"),
    "vmalert_iteration_missed_total": ("group", "file"),
    "vmalert_remotewrite_dropped_rows_total": (),
    "vmalert_remotewrite_errors_total": (),
    "vmalert_alerts_send_errors_total": ("addr",),
    "vmalert_config_last_reload_successful": (),
    # vmalert's, of every alert; with the labels of its rule besides.
    "ALERTS": ("alertname", "alertstate", "severity", "component", "action", "gpu", "uuid"),
    "ALERTS_FOR_STATE": ("alertname", "severity", "component", "action", "gpu", "uuid"),
    "alertmanager_notifications_total": ("integration", "receiver_name"),
    "alertmanager_notifications_failed_total": ("integration", "receiver_name", "reason"),
}
# Of the scrape, of every sample of the exporter, and what our targets' README speaks of.
EVERYWHERE = {"job", "instance", "node", "cluster"}
