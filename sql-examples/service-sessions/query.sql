SELECT FORMAT_TIMESTAMP(FROM_UNIXTIME(windowstart), 'HH:mm:ss') AS began, customer, contacts, channels,
       (windowend - windowstart) / 1000 AS took_s, path[1] AS first_by, path[ARRAY_LENGTH(path)] AS last_by
FROM cases ORDER BY windowstart, customer;
