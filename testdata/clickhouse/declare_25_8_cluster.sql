-- a fact table
CREATE TABLE `ana``lytics`.`trips` ON CLUSTER `north's`
(
    `ts` UInt32,
    `id` Int64,
    `city` Nullable(UInt16),
    `status` LowCardinality(Nullable(String)) DEFAULT CAST('it\'s' AS LowCardinality(String)) COMMENT 'arus:{"kind":"enum","values":["new","it\'s","a\\\\b"]}',
    `odd ``name` Nullable(Bool) DEFAULT true,
    `at` Nullable(DateTime64(6, 'UTC')) DEFAULT CAST('2026-02-28 01:02:03.500000' AS DateTime64(6, 'UTC')) COMMENT 'arus:{"kind":"timestamptz"}',
    `_arus_run_id` UUID COMMENT 'arus:declared {"key":["id"],"time":"ts","sort":["city","gone","status"]}',
    `_arus_synced_at` DateTime64(6, 'UTC'),
    `_arus_version` UInt64 CODEC(Delta, LZ4),
    `_arus_gone` UInt8 DEFAULT 0
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/hcad6665032f907c2/trips', '{replica}', _arus_version, _arus_gone)
PARTITION BY intDiv(`ts`, 86400)
ORDER BY (assumeNotNull(`city`), assumeNotNull(`status`), `id`)
TTL toDateTime(`ts`) + toIntervalDay(90);

-- a dimension table
CREATE TABLE `ana``lytics`.`trips` ON CLUSTER `north's`
(
    `ts` UInt32,
    `id` Int64,
    `city` UInt16,
    `status` LowCardinality(Nullable(String)) DEFAULT CAST('it\'s' AS LowCardinality(String)) COMMENT 'arus:{"kind":"enum","values":["new","it\'s","a\\\\b"]}',
    `odd ``name` Nullable(Bool) DEFAULT true,
    `at` Nullable(DateTime64(6, 'UTC')) DEFAULT CAST('2026-02-28 01:02:03.500000' AS DateTime64(6, 'UTC')) COMMENT 'arus:{"kind":"timestamptz"}',
    `_arus_run_id` UUID COMMENT 'arus:declared {"key":["id","city"]}',
    `_arus_synced_at` DateTime64(6, 'UTC'),
    `_arus_version` UInt64 CODEC(Delta, LZ4),
    `_arus_gone` UInt8 DEFAULT 0
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/hcad6665032f907c2/trips', '{replica}', _arus_version, _arus_gone)
ORDER BY (`id`, `city`);

-- a column and cases more, one less, another retention, and the mark
ALTER TABLE `ana``lytics`.`trips` ON CLUSTER `north's` DROP COLUMN `odd ``name`, ADD COLUMN `tip` Nullable(String) DEFAULT CAST('{}' AS String);

-- a column and cases more, one less, another retention, and the mark
ALTER TABLE `ana``lytics`.`trips` ON CLUSTER `north's` COMMENT COLUMN `tip` 'arus:{"kind":"json"}', COMMENT COLUMN `status` 'arus:{"kind":"enum","values":["new","it\'s","a\\\\b"]}', COMMENT COLUMN `_arus_run_id` 'arus:declared {"key":["id"],"time":"ts","sort":["city","gone","status"]}';

-- a column and cases more, one less, another retention, and the mark
ALTER TABLE `ana``lytics`.`trips` ON CLUSTER `north's` MODIFY TTL toDateTime(`ts`) + toIntervalDay(30);

