SELECT FORMAT_TIMESTAMP(FROM_UNIXTIME(windowstart), 'yyyy-MM-dd HH:mm:ss') AS window_start, card, payments, total
FROM suspicious ORDER BY windowstart, card;
