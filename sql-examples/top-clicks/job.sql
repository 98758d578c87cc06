-- Clicks as JSON lines: who, which item, how well it was liked (0 to 100), when.
CREATE STREAM clicks (usr VARCHAR, item VARCHAR, score INT, clicked VARCHAR)
WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON', TIMESTAMP = 'clicked', TIMESTAMP_FORMAT = 'yyyy-MM-dd''T''HH:mm:ssX');

-- Each user's five best scores, kept up to date click by click.
CREATE TABLE top_scores AS
SELECT usr, COUNT(*) AS clicks, COUNT_DISTINCT(item) AS items, TOPKDISTINCT(score, 5) AS best
FROM clicks GROUP BY usr;
