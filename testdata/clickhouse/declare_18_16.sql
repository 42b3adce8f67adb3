-- a fact table
CREATE TABLE `ana``lytics`.`trips`
(
    `ts` UInt32,
    `id` Int64,
    `city` Nullable(UInt16),
    `status` Nullable(String) DEFAULT CAST('it\'s' AS String) COMMENT 'arus:{"kind":"enum","values":["new","it\'s","a\\\\b"]}',
    `odd ``name` Nullable(UInt8) DEFAULT 1 COMMENT 'arus:{"kind":"bool"}',
    `at` Nullable(String) DEFAULT CAST('2026-02-28T01:02:03.500000Z' AS String) COMMENT 'arus:{"kind":"timestamptz"}',
    `_arus_run_id` UUID COMMENT 'arus:declared {"key":["id"],"time":"ts","sort":["city","gone","status"]}',
    `_arus_synced_at` String COMMENT 'arus:{"kind":"timestamptz","precision":6}',
    `_arus_version` UInt64,
    `_arus_gone` UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(_arus_version)
PARTITION BY intDiv(`ts`, 86400)
ORDER BY (assumeNotNull(`city`), assumeNotNull(`status`), `id`);

-- a dimension table
CREATE TABLE `ana``lytics`.`trips`
(
    `ts` UInt32,
    `id` Int64,
    `city` UInt16,
    `status` Nullable(String) DEFAULT CAST('it\'s' AS String) COMMENT 'arus:{"kind":"enum","values":["new","it\'s","a\\\\b"]}',
    `odd ``name` Nullable(UInt8) DEFAULT 1 COMMENT 'arus:{"kind":"bool"}',
    `at` Nullable(String) DEFAULT CAST('2026-02-28T01:02:03.500000Z' AS String) COMMENT 'arus:{"kind":"timestamptz"}',
    `_arus_run_id` UUID COMMENT 'arus:declared {"key":["id","city"]}',
    `_arus_synced_at` String COMMENT 'arus:{"kind":"timestamptz","precision":6}',
    `_arus_version` UInt64,
    `_arus_gone` UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(_arus_version)
ORDER BY (`id`, `city`);

-- a column and cases more, one less, another retention, and the mark
ALTER TABLE `ana``lytics`.`trips` DROP COLUMN `odd ``name`, ADD COLUMN `tip` Nullable(String) DEFAULT CAST('{}' AS String);

-- a column and cases more, one less, another retention, and the mark
ALTER TABLE `ana``lytics`.`trips` COMMENT COLUMN `tip` 'arus:{"kind":"json"}', COMMENT COLUMN `status` 'arus:{"kind":"enum","values":["new","it\'s","a\\\\b"]}', COMMENT COLUMN `_arus_run_id` 'arus:declared {"key":["id"],"time":"ts","sort":["city","gone","status"]}';

