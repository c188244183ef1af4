-- The newest batch date of each dataset whose rows are in the tables, and the files of it.
WITH numbered AS (
    SELECT
        dataset,
        batch_date,
        state,
        row_number() OVER (
            PARTITION BY dataset, batch_date, file, digest ORDER BY seq DESC
        ) AS place
    FROM ledger.receipts
),
newest AS (
    SELECT dataset, max(batch_date) AS newest_batch_date
    FROM numbered
    WHERE place = 1 AND state = 'in_force'
    GROUP BY dataset
)
SELECT w.dataset, w.newest_batch_date, count(*) AS files
FROM newest AS w
JOIN numbered AS n ON n.dataset = w.dataset AND n.batch_date = w.newest_batch_date
WHERE n.place = 1 AND n.state = 'in_force'
GROUP BY w.dataset, w.newest_batch_date
ORDER BY dataset
