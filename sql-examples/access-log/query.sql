SELECT FORMAT_TIMESTAMP(FROM_UNIXTIME(windowstart), 'yyyy-MM-dd HH:mm:ss') AS window_start, ip, n
FROM hits ORDER BY windowstart, ip;
