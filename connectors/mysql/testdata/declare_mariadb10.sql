-- a fact table
CREATE TABLE `ana``lytics`.`trips` (
  `ts` int unsigned NOT NULL,
  `id` bigint NOT NULL,
  `city` smallint unsigned NULL,
  `status` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL DEFAULT 'it''s',
  `odd ``name` float NULL,
  `doc` json NULL DEFAULT '{"a":1}',
  `_arus_run_id` char(36) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'arus:declared {"key":["id"],"time":"ts","sort":["city","status"]}',
  `_arus_synced_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) COMMENT 'arus:timestamptz',
  PRIMARY KEY (`id`, `ts`),
  CONSTRAINT `trips_status_cases` CHECK (`status` IN ('new', 'it''s', 'a\b'))
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
PARTITION BY RANGE (`ts`) (PARTITION `p20260303` VALUES LESS THAN (1772582400), PARTITION `p20260304` VALUES LESS THAN (1772668800), PARTITION `p20260305` VALUES LESS THAN (1772755200), PARTITION `p20260306` VALUES LESS THAN (1772841600), PARTITION `p20260307` VALUES LESS THAN (1772928000), PARTITION `p20260308` VALUES LESS THAN (1773014400), PARTITION `p20260309` VALUES LESS THAN (1773100800), PARTITION `p20260310` VALUES LESS THAN (1773187200), PARTITION `p20260311` VALUES LESS THAN (1773273600), PARTITION `plater` VALUES LESS THAN MAXVALUE);

-- a dimension table
CREATE TABLE `ana``lytics`.`trips` (
  `ts` int unsigned NOT NULL,
  `id` bigint NOT NULL,
  `city` smallint unsigned NOT NULL,
  `status` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL DEFAULT 'it''s',
  `odd ``name` float NULL,
  `doc` json NULL DEFAULT '{"a":1}',
  `_arus_run_id` char(36) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'arus:declared {"key":["id","city"]}',
  `_arus_synced_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) COMMENT 'arus:timestamptz',
  PRIMARY KEY (`id`, `city`),
  CONSTRAINT `trips_status_cases` CHECK (`status` IN ('new', 'it''s', 'a\b'))
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- a column and cases more, one less, and the mark
ALTER TABLE `ana``lytics`.`trips` DROP COLUMN `city`,
  ADD COLUMN `tip` decimal(10,2) NULL DEFAULT 1.50,
  DROP CONSTRAINT `trips_status_cases`,
  ADD CONSTRAINT `trips_status_3_cases` CHECK (`status` IN ('new', 'it''s', 'a\b')),
  MODIFY COLUMN `_arus_run_id` char(36) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'arus:declared {"key":["id"],"time":"ts","sort":["city","status"]}';
