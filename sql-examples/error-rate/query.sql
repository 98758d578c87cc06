SELECT FORMAT_TIMESTAMP(FROM_UNIXTIME(windowstart), 'HH:mm') AS window_start, service, log_lines AS lines, errors, 100 * errors / log_lines AS percent
FROM alerts ORDER BY windowstart, service;
