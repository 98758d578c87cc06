-- Readings as JSON lines; READ_AT is the time in milliseconds.
CREATE STREAM readings (sensor VARCHAR, celsius DOUBLE, read_at BIGINT)
WITH (KAFKA_TOPIC = 'readings', VALUE_FORMAT = 'JSON', TIMESTAMP = 'read_at');

-- The mean of the last two minutes, every minute: each reading counts in two windows.
CREATE TABLE means AS
SELECT sensor, COUNT(*) AS readings, AVG(celsius) AS mean, MAX(celsius) AS highest
FROM readings GROUP BY sensor, HOPPING(2m, 1m);
