SELECT FORMAT_TIMESTAMP(FROM_UNIXTIME(windowstart), 'HH:mm') AS window_start, sensor, readings, ROUND(mean, 2) AS mean, highest
FROM means ORDER BY windowstart, sensor;
