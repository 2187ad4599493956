-- The deploy whose image and configuration this one brings back.
ALTER TABLE deploys ADD COLUMN rolls_back_to INTEGER;
-- What the lane said when image or configuration were given to the deploy: a fingerprint.
-- The lane is changed at its end if it still says that.
ALTER TABLE deploys ADD COLUMN lane_was TEXT;
-- Why it is to end early, from when somebody asked: kept for a server that comes after.
ALTER TABLE deploys ADD COLUMN cancel_reason TEXT;
ALTER TABLE deploys DROP COLUMN cancel;
CREATE INDEX deploys_open ON deploys (id) WHERE ended_at IS NULL;
