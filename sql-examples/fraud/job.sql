-- Payments as JSON lines: card, amount, time. DECIMAL adds up money without rounding.
CREATE STREAM payments (card VARCHAR, amount DECIMAL(10, 2), paid_at VARCHAR)
WITH (KAFKA_TOPIC = 'payments', VALUE_FORMAT = 'JSON', TIMESTAMP = 'paid_at', TIMESTAMP_FORMAT = 'yyyy-MM-dd''T''HH:mm:ssX');

-- Cards that paid more than 1000 within a minute.
CREATE TABLE suspicious AS
SELECT card, COUNT(*) AS payments, SUM(amount) AS total
FROM payments
GROUP BY card, TUMBLING(1m)
HAVING SUM(amount) > 1000.00;
