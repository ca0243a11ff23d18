"""The guards of the audit log, as triggers: rows are added in order, and nothing else.

The chain would show a change; the guards prevent the ones that come through the product's
own connection. An event may only continue the head, the head follows the events by itself,
and UPDATE, DELETE, TRUNCATE and INSERT OR REPLACE are refused. Whoever owns the database
can still drop a trigger: ``audit_log.verify`` compares what stands there with this file.

The texts are version 1, as the migration created them. A later version is another
constant, created by another migration.
"""

LOCK_HEAD = "rightstep_lock_audit_head()"  # PostgreSQL: the head, locked until the transaction ends

SQLITE_GUARDS_V1: dict[str, str] = {
    "audit_events_only_continue": """
CREATE TRIGGER audit_events_only_continue BEFORE INSERT ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM audit_head WHERE NEW.seq = seq + 1 AND NEW.prev_hash = hash)
  OR NEW.seq <> COALESCE((SELECT MAX(seq) FROM audit_events), 0) + 1
  OR EXISTS (SELECT 1 FROM audit_events WHERE audit_events.seq = NEW.seq OR audit_events.hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'audit_events: an event only continues the chain'); END
""",
    "audit_events_move_the_head": """
CREATE TRIGGER audit_events_move_the_head AFTER INSERT ON audit_events
BEGIN UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash; END
""",
    "audit_events_never_change": """
CREATE TRIGGER audit_events_never_change BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit_events: an event is never changed'); END
""",
    "audit_events_never_go": """
CREATE TRIGGER audit_events_never_go BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit_events: an event is never removed'); END
""",
    "audit_head_only_follows": """
CREATE TRIGGER audit_head_only_follows BEFORE UPDATE ON audit_head
WHEN NEW.id <> OLD.id OR NEW.seq <> OLD.seq + 1
  OR NOT EXISTS (SELECT 1 FROM audit_events WHERE audit_events.seq = NEW.seq AND audit_events.hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'audit_head: the head only follows the events'); END
""",
    "audit_head_is_single": """
CREATE TRIGGER audit_head_is_single BEFORE INSERT ON audit_head
WHEN EXISTS (SELECT 1 FROM audit_head)
BEGIN SELECT RAISE(ABORT, 'audit_head: there is one head'); END
""",
    "audit_head_never_goes": """
CREATE TRIGGER audit_head_never_goes BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'audit_head: the head is never removed'); END
""",
}

# SECURITY DEFINER: these run as the owner of the tables, so that the product's account needs
# no right to change the head. search_path is pinned, or the caller could slip in its own tables.
POSTGRESQL_FUNCTIONS_V1: dict[str, str] = {
    "rightstep_lock_audit_head": """
CREATE FUNCTION rightstep_lock_audit_head() RETURNS TABLE (seq bigint, hash varchar)
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT
AS $guard$ SELECT seq, hash FROM audit_head WHERE id = 1 FOR UPDATE $guard$
""",
    "rightstep_audit_refuse": """
CREATE FUNCTION rightstep_audit_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $guard$ BEGIN
  RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ': ' || TG_OP || ' is never allowed';
END $guard$
""",
    "rightstep_audit_continue": """
CREATE FUNCTION rightstep_audit_continue() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $guard$ BEGIN
  PERFORM 1 FROM audit_head WHERE NEW.seq = audit_head.seq + 1 AND NEW.prev_hash = audit_head.hash FOR UPDATE;
  IF NOT FOUND OR NEW.seq <> COALESCE((SELECT MAX(seq) FROM audit_events), 0) + 1 THEN
    RAISE EXCEPTION 'audit_events: an event only continues the chain';
  END IF;
  RETURN NEW;
END $guard$
""",
    "rightstep_audit_move_head": """
CREATE FUNCTION rightstep_audit_move_head() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $guard$ BEGIN
  UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash;
  RETURN NULL;
END $guard$
""",
    "rightstep_audit_head_follow": """
CREATE FUNCTION rightstep_audit_head_follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $guard$ BEGIN
  PERFORM 1 FROM audit_events WHERE audit_events.seq = NEW.seq AND audit_events.hash = NEW.hash;
  IF NOT FOUND OR NEW.id <> OLD.id OR NEW.seq <> OLD.seq + 1 THEN
    RAISE EXCEPTION 'audit_head: the head only follows the events';
  END IF;
  RETURN NEW;
END $guard$
""",
}

POSTGRESQL_TRIGGERS_V1: dict[str, str] = {
    "audit_events_only_continue": """
CREATE TRIGGER audit_events_only_continue BEFORE INSERT ON audit_events
FOR EACH ROW EXECUTE FUNCTION rightstep_audit_continue()
""",
    "audit_events_move_the_head": """
CREATE TRIGGER audit_events_move_the_head AFTER INSERT ON audit_events
FOR EACH ROW EXECUTE FUNCTION rightstep_audit_move_head()
""",
    "audit_events_never_change": """
CREATE TRIGGER audit_events_never_change BEFORE DELETE OR UPDATE ON audit_events
FOR EACH ROW EXECUTE FUNCTION rightstep_audit_refuse()
""",
    "audit_events_never_go": """
CREATE TRIGGER audit_events_never_go BEFORE TRUNCATE ON audit_events
FOR EACH STATEMENT EXECUTE FUNCTION rightstep_audit_refuse()
""",
    "audit_head_only_follows": """
CREATE TRIGGER audit_head_only_follows BEFORE UPDATE ON audit_head
FOR EACH ROW EXECUTE FUNCTION rightstep_audit_head_follow()
""",
    "audit_head_is_single": """
CREATE TRIGGER audit_head_is_single BEFORE INSERT OR DELETE ON audit_head
FOR EACH ROW EXECUTE FUNCTION rightstep_audit_refuse()
""",
    "audit_head_never_goes": """
CREATE TRIGGER audit_head_never_goes BEFORE TRUNCATE ON audit_head
FOR EACH STATEMENT EXECUTE FUNCTION rightstep_audit_refuse()
""",
}

# The guards of the checkpoints: signed, so a change shows; but one that is gone would not.

SQLITE_CHECKPOINT_GUARDS_V1: dict[str, str] = {
    "audit_checkpoints_never_change": """
CREATE TRIGGER audit_checkpoints_never_change BEFORE UPDATE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'audit_checkpoints: a checkpoint is never changed'); END
""",
    "audit_checkpoints_never_go": """
CREATE TRIGGER audit_checkpoints_never_go BEFORE DELETE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'audit_checkpoints: a checkpoint is never removed'); END
""",
    "audit_checkpoints_are_new": """
CREATE TRIGGER audit_checkpoints_are_new BEFORE INSERT ON audit_checkpoints
WHEN EXISTS (SELECT 1 FROM audit_checkpoints AS kept WHERE kept.size = NEW.size AND kept.key_id = NEW.key_id)
BEGIN SELECT RAISE(ABORT, 'audit_checkpoints: a checkpoint is never replaced'); END
""",
}

POSTGRESQL_CHECKPOINT_TRIGGERS_V1: dict[str, str] = {
    "audit_checkpoints_never_change": """
CREATE TRIGGER audit_checkpoints_never_change BEFORE DELETE OR UPDATE ON audit_checkpoints
FOR EACH ROW EXECUTE FUNCTION rightstep_audit_refuse()
""",
    "audit_checkpoints_never_go": """
CREATE TRIGGER audit_checkpoints_never_go BEFORE TRUNCATE ON audit_checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION rightstep_audit_refuse()
""",
}
