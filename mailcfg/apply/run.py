"""An apply and a rollback from beginning to end: all of it or nothing, proven by a handshake, or undone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from mailcfg import __version__, state
from mailcfg.apply import making, place
from mailcfg.apply.change import FileChange
from mailcfg.apply.daemon import Daemon, Ended, booted_with_systemd, program
from mailcfg.apply.daemon import run as run_program
from mailcfg.apply.merge import restored
from mailcfg.apply.plan import Plan, ServiceAction, action, make_plan, paths_of
from mailcfg.apply.prove import disproved, unreached
from mailcfg.apply.transaction import Progress, State
from mailcfg.behaviour.changes import changes
from mailcfg.cli import ExitCode, Failure
from mailcfg.drift.difference import Difference
from mailcfg.facts.platforms import Platform, platform
from mailcfg.facts.platforms.detect import OS_RELEASE, by_os_release, nearest
from mailcfg.facts.version import Version
from mailcfg.found import subject
from mailcfg.host import postfix_version
from mailcfg.live import Door
from mailcfg.machine import File, Machine, Unreadable
from mailcfg.manifest import ManifestError, read_manifest
from mailcfg.overlay import Overlay
from mailcfg.reports.applied import Status
from mailcfg.rule import Subject
from mailcfg.state import Damaged, Record


class Wish(NamedTuple):
    """What the command line says."""

    dry_run: bool = False
    allow_weaker: bool = False
    allow_findings: bool = False
    prune: bool = False
    reload: bool = True
    discard_edits: bool = False


class Teller:
    """Says what is done: `say` a line of the report, `warn` what went wrong, `show` all of a plan."""

    def __init__(self, say: Callable[[str], None], warn: Callable[[str], None], show: Callable[[Plan], None]) -> None:
        self._say = say
        self.warn = warn
        self.show = show
        self.said: list[str] = []

    def say(self, line: str) -> None:
        """Say a line, and keep it."""
        self.said.append(line)
        self._say(line)


@dataclass
class Outcome:
    """What became of it, for a report. `plan` is None for a rollback; `reasons` say why something was not done."""

    site: str
    source: str
    status: Status
    generation: int
    verified: bool
    plan: Plan | None
    changed: list[FileChange]
    reasons: list[str]
    postfix: ServiceAction = "nothing"


class Applier:
    """The machine below a root, and what is done to it. `directory` is where main.cf lies, None for the platform's."""

    def __init__(self, machine: Machine, directory: str | None, now: float, wish: Wish, teller: Teller) -> None:
        self.machine = machine
        self.directory = directory
        self.now = now
        self.wish = wish
        self.tell = teller
        self.versions: tuple[Version, Version] | None = None
        self.outcome = Outcome("", "", "unchanged", 0, False, None, [], [])

    # --- apply -------------------------------------------------------------------------------------------------------

    def apply(self, source: str, door: Machine) -> ExitCode:
        """Make the machine what a policy or a bundle says. Raises PolicyError, Unreadable, Failure and OSError."""
        plan = make_plan(source, door, self.machine, self.directory, self.now, prune=self.wish.prune)
        self.versions = plan.before.postfix, plan.before.openssl
        self.outcome.site, self.outcome.source, self.outcome.plan = plan.wanted.site, plan.source, plan
        kept = self._state(plan.directory, plan.platform)
        self.outcome.generation = state.current(kept.path)
        if self.wish.dry_run:
            return self._dry(plan, kept)
        self._refuse_unsafe(plan)
        kept.lock()
        try:
            proven = self._recovered(kept, plan.directory, plan.platform)
            if proven:
                plan = make_plan(source, door, self.machine, self.directory, self.now, prune=self.wish.prune)
                self._refuse_unsafe(plan)
            return self._apply(plan, kept)
        finally:
            kept.unlock()

    def _state(self, directory: str, facts: Platform) -> State:
        if not state.chosen():
            place.refuse_unsafe(self.machine.root, state.PLACE)
        where = state.directory(self.machine.root, directory, facts.postfix.config_directory)
        return State(self.machine, where)

    def _dry(self, plan: Plan, kept: State) -> ExitCode:
        if kept.progress() is not None:
            self.tell.warn("an earlier run was killed: the next apply finishes or undoes it first")
        if plan.is_empty:
            self.tell.say(f"{plan.wanted.site}: nothing to change")
            self._left(plan)
            return ExitCode.AGREES
        self.outcome.status, self.outcome.changed = "planned", plan.merged.changes
        self.outcome.postfix = plan.postfix
        self.tell.show(plan)
        self._stops(plan)
        self._left(plan)
        return ExitCode.FINDINGS

    def _apply(self, plan: Plan, kept: State) -> ExitCode:
        if plan.is_empty:
            self.tell.say(f"{plan.wanted.site}: nothing to change")
            self._remember(plan, kept)
            code = self._tell_postfix(plan) if plan.pending else ExitCode.AGREES
            self._left(plan)
            return code
        self.outcome.changed = plan.merged.changes
        self.tell.show(plan)
        if self._stops(plan):
            self.outcome.status = "refused"
            return ExitCode.FINDINGS
        configuration = plan.wanted.configuration
        making.sweep(configuration.certificates, self.machine.root)
        made = making.make(
            plan.merged.certificates,
            configuration.openssl,
            plan.platform,
            self.machine,
            f"{kept.path}/openssl",
            self.tell.say,
        )
        making.narrow(plan.merged.narrowed, self.machine.root, self.tell.say)
        changed = [*plan.merged.changes, *made]
        number = max(kept.numbers(), default=0) + 1
        record = self._record(plan, number, state.current(kept.path))
        kept.write_generation(record, changed, self._bundle(plan), self._own())
        code = self._switch(kept, number, number, changed, plan.directory, plan.platform, plan.postfix, plan)
        if code is ExitCode.AGREES:
            self._daemons(plan)
            self._left(plan)
        return code

    def _tell_postfix(self, plan: Plan) -> ExitCode:
        """The files are as they should be, and Postfix has not read them yet: have it do so, and prove it."""
        daemon = self._daemon(plan.directory, plan.platform)
        if daemon is None or not self.wish.reload or not daemon.is_running():
            return ExitCode.AGREES
        wrong = self._read_again(daemon, "reload")
        wrong = wrong or disproved(self._subject(plan.directory, plan.platform), {}, daemon.is_running, self.tell.say)
        self.outcome.verified = not wrong
        self._fault(wrong)
        return ExitCode.FINDINGS if wrong else ExitCode.AGREES

    def _fault(self, wrong: list[str]) -> None:
        """Tell what Postfix does otherwise than its files say."""
        if wrong:
            self.tell.warn("Postfix does not do what these files say:")
        for each in wrong:
            self.tell.warn(f"  {each}")
        self.outcome.reasons += wrong

    def _own(self) -> tuple[int, int]:
        return os.geteuid(), os.getegid()

    @staticmethod
    def _bundle(plan: Plan) -> dict[str, bytes]:
        return {"manifest.json": plan.whole.manifest, **plan.whole.files}

    def _record(self, plan: Plan, number: int, previous: int) -> Record:
        return Record(
            number,
            previous,
            plan.wanted.site,
            plan.source,
            plan.whole.digest_of_manifest,
            __version__,
            int(self.now),
            plan.directory,
            plan.postfix,
            (),
        )

    def _remember(self, plan: Plan, kept: State) -> None:
        """Keep the bundle of a machine that is as it should be, so that later differences have something to differ
        from. One that is known already is not kept twice.
        """
        current = state.current(kept.path)
        if current:
            try:
                if state.load(kept.path, current).manifest == plan.whole.digest_of_manifest:
                    return
            except (Unreadable, Damaged):
                self.tell.warn(f"the record of generation {current} cannot be read: a new one is begun")
        number = max(kept.numbers(), default=0) + 1
        # What stands in them now was there before any edit to come.
        found = [(each.path, self.machine.look(each.path)) for each in plan.wanted.targets]
        same = [FileChange(path, there, there) for path, there in found if there is not None]
        kept.write_generation(self._record(plan, number, current), same, self._bundle(plan), self._own())
        kept.complete(Progress(number, number, "switched", None, (), ()))
        self._note(kept, "remembered", number, plan.source)

    def _note(self, kept: State, event: str, generation: int, words: str = "") -> None:
        """Add to the journal. That it cannot be written is told, and changes nothing of what was done."""
        try:
            kept.note(int(self.now), event, generation, words)
        except OSError as error:
            self.tell.warn(f"{kept.path}/{state.JOURNAL}: {error.strerror}: {event} is not noted")

    def _refuse_unsafe(self, plan: Plan) -> None:
        """Refuse what would be written through a link, or into a directory where somebody else can put other files."""
        for path in dict.fromkeys(paths_of(plan)):
            place.refuse_unsafe(self.machine.root, path)
            folder = path
            while folder := folder.rpartition("/")[0]:
                found = self.machine.look(folder, content=False)
                if found is None:
                    continue
                others = found.mode & 0o002 or (found.mode & 0o020 and found.gid not in (0, self.machine.owners[1]))
                if (others and not found.mode & 0o1000) or found.uid not in (0, self.machine.owners[0]):
                    raise Failure(
                        f"{folder} can be changed by others than root (mode {found.mode:04o}, user {found.uid}, group "
                        f"{found.gid}), who could put other files in the place of {path}: mend that first"
                    )

    def _stops(self, plan: Plan) -> bool:
        """Tell why this is not applied, if it is not."""
        stops = False
        if plan.weaker and not self.wish.allow_weaker:
            self.tell.warn("less would be protected than now:")
            for each in plan.weaker:
                self.tell.warn(f"  {each.where}: {each.now} (now: {each.was})")
                self.outcome.reasons.append(f"{each.where}: {each.now}")
            self.tell.warn("nothing is applied; --allow-weaker does it all the same")
            stops = True
        if plan.errors and not self.wish.allow_findings:
            for finding in plan.errors:
                where = f"{finding.location.file}:{finding.location.line}: " if finding.location.line else ""
                self.tell.warn(f"{where}error[{finding.rule}] {finding.message}: {finding.effect}")
                self.outcome.reasons.append(f"{where}{finding.rule}: {finding.message}")
            for row in plan.merged.awaited:
                self.tell.warn(f"the certificate {row.setting} is not mailcfg's to make: {row.file}: {_why(row)}")
            self.tell.warn("nothing is applied; --allow-findings does it all the same")
            stops = True
        return stops

    def _left(self, plan: Plan) -> None:
        """Tell what stays different, since it is not the policy's to change."""
        extras = [
            each for each in plan.merged.left if each.kind in ("extra", "shadowed") or each.file == plan.main_path
        ]
        others = [each for each in plan.merged.left if each not in extras]
        if extras:
            self.tell.say("left as they are, since the policy does not manage them (--prune takes them out):")
        for each in extras:
            self.tell.say(f"  {_named(each)}")
        if others:
            self.tell.say("not for mailcfg to mend:")
        for each in others:
            self.tell.say(f"  {each.file}: {each.kind}: {_why(each)}")

    # --- the switch --------------------------------------------------------------------------------------------------

    def _switch(
        self,
        kept: State,
        number: int,
        leads_to: int,
        changed: list[FileChange],
        directory: str,
        facts: Platform,
        needed: ServiceAction,
        plan: Plan | None,
        emptied: tuple[str, ...] = (),
    ) -> ExitCode:
        """Stage, check, switch, have Postfix read it, and prove it; or leave all as it was."""
        daemon = self._daemon(directory, facts)
        running = daemon is not None and self.wish.reload and daemon.is_running()
        before = self._subject(directory, facts)
        baseline = unreached(before) if running else {}
        progress = kept.stage(number, leads_to, changed, directory, emptied)
        try:
            if plan is not None:
                self._check(kept, plan, changed, directory, daemon)
        except BaseException:
            kept.undo(progress)
            raise
        progress = kept.commit(progress, changed, directory)
        self._note(kept, "switched", number, ", ".join(each.path for each in changed))
        return self._prove(kept, progress, directory, facts, needed, daemon if running else None, baseline)

    def _prove(
        self,
        kept: State,
        progress: Progress,
        directory: str,
        facts: Platform,
        needed: ServiceAction,
        daemon: Daemon | None,
        baseline: dict[str, str],
    ) -> ExitCode:
        """Have Postfix read the files in force, and hold what it does against the prediction."""
        self.outcome.status = "applied"
        self.outcome.generation = progress.leads_to
        if daemon is None:
            kept.complete(progress)
            self._note(kept, "applied", progress.generation, "not verified")
            if not self.machine.root:
                self.tell.say(
                    "Postfix was not told: it reads the files at its next reload or start"
                    if not self.wish.reload
                    else "Postfix is not running: nothing was reloaded, and nothing could be verified"
                )
            return ExitCode.AGREES
        try:
            wrong = self._read_again(daemon, needed)
            if not wrong:
                wrong = disproved(self._subject(directory, facts), baseline, daemon.is_running, self.tell.say)
        except BaseException:
            # Whatever ends it here, Ctrl-C too: what was not proven does not stay.
            kept.revert(progress)
            self._note(kept, "rolled back", progress.generation, "interrupted")
            self._back(daemon)
            self.tell.warn("interrupted: the files are as they were before")
            raise
        if not wrong:
            kept.complete(progress)
            self._note(kept, "applied", progress.generation, "verified")
            self.outcome.verified = True
            return ExitCode.AGREES
        self._fault(wrong)
        kept.revert(progress)
        self.outcome.status, self.outcome.generation = "rolled-back", state.current(kept.path)
        self._note(kept, "rolled back", progress.generation, "; ".join(wrong))
        said = self._back(daemon)
        self.tell.warn("rolled back: the files are as they were before" + (f"; {said}" if said else ", and in force"))
        return ExitCode.FINDINGS

    def _read_again(self, daemon: Daemon, needed: ServiceAction) -> list[str]:
        self.outcome.postfix = needed
        if needed == "nothing":
            return []
        ended = daemon.restart() if needed == "restart" else daemon.reload()
        self.tell.say("restarted Postfix" if needed == "restart" else "reloaded Postfix")
        return [] if ended.code == 0 else [f"postfix {needed}: {_words(ended)}"]

    def _back(self, daemon: Daemon) -> str:
        """Have Postfix read the old files again, whatever became of it meanwhile; empty if it runs."""
        # A daemon that died of the new files is held back until master itself ends.
        ended = daemon.restart() if daemon.is_running() else daemon.start()
        return "" if ended.code == 0 else f"Postfix could not be started: {_words(ended)}"

    def _daemon(self, directory: str, facts: Platform) -> Daemon | None:
        """The Postfix of this very machine; below another root there is none to speak to."""
        if self.machine.root or program("postfix") is None or program("postconf") is None:
            return None
        packaged = directory == facts.postfix.config_directory
        return Daemon(directory, packaged=packaged, restart=facts.commands.restart)

    def _subject(self, directory: str, facts: Platform) -> Subject:
        return self._seen(self.machine, directory, facts)

    def _seen(self, door: Door, directory: str, facts: Platform) -> Subject:
        if self.versions is None:
            told = "" if self.machine.root else postfix_version()
            self.versions = Version.parse(told or facts.postfix.version), Version.parse(facts.openssl.version)
        return subject(door, facts, *self.versions, directory, self.now)

    def _check(self, kept: State, plan: Plan, changed: list[FileChange], directory: str, daemon: Daemon | None) -> None:
        """Let Postfix's own programs read the new files before they are in force. Raises Failure."""
        if daemon is None:
            return
        folder = f"{kept.path}/check"
        place.remove_tree(folder)
        os.mkdir(folder, 0o755)
        try:
            new = {
                each.path.rpartition("/")[2]: each.after
                for each in changed
                if each.path.rpartition("/")[0] == directory
            }
            for name in os.listdir(f"{self.machine.root}{directory}"):
                if name not in new:
                    os.symlink(f"{self.machine.root}{directory}/{name}", f"{folder}/{name}")
            for name, after in new.items():
                if after is not None:
                    place.write(f"{folder}/{name}", after)
                    # postconf waits two seconds for a file that was written just now.
                    os.utime(f"{folder}/{name}", (self.now - 60, self.now - 60))
            values = daemon.values(folder, [each.name for each in plan.wanted.configuration.parameters])
            for each in plan.wanted.configuration.parameters:
                if " ".join(values.get(each.name, each.value).split()) != " ".join(each.value.split()):
                    raise Failure(f"postconf reads {each.name} = {values[each.name]} where {each.value} was written")
            daemon.services(folder)
            ended = daemon.check(folder)
            if ended.code:
                raise Failure(f"postfix check refuses the new files: {_words(ended)}")
            for line in ended.said:
                if folder not in line:
                    self.tell.say(line)
        finally:
            place.remove_tree(folder)

    def _daemons(self, plan: Plan) -> None:
        """Have other daemons read their files again, where systemd is there to do it; else say what to run."""
        for command, why in plan.daemons:
            if self.machine.root or not self.wish.reload or not booted_with_systemd():
                self.tell.say(f"run: {command}    # {why}")
                continue
            ended = run_program("/bin/sh", "-c", command)
            self.tell.say(f"{command}: {'done' if ended.code == 0 else _words(ended)}")

    # --- recovery and rollback ---------------------------------------------------------------------------------------

    def _recovered(self, kept: State, directory: str, facts: Platform) -> str:
        """Finish or undo what a killed run left, and say so."""
        done = kept.recover()
        if not done:
            return ""
        if done == "undone":
            self.tell.say("an earlier run was killed before it changed anything in force: what it left is removed")
        elif done == "completed":
            self.tell.say("an earlier run was killed when all was done but the clearing up: that is finished")
        elif done == "reverted":
            daemon = self._daemon(directory, facts)
            if daemon is not None and self.wish.reload:
                self._back(daemon)
            self.tell.say("an earlier run was killed while it put files back: that is finished")
        else:
            progress = kept.progress()
            assert progress is not None
            self.tell.say("an earlier run was killed after its files were in force: that is finished now")
            daemon = self._daemon(directory, facts)
            running = daemon is not None and self.wish.reload and daemon.is_running()
            if self._prove(kept, progress, directory, facts, "restart", daemon if running else None, {}):
                return "reverted"
        self._note(kept, "recovered", 0, done)
        return done

    def rollback(self, facts: Platform) -> ExitCode:
        """Put back the files as they were before the generation in force. Raises Failure, Unreadable and OSError."""
        directory = self.directory or facts.postfix.config_directory
        kept = self._state(directory, facts)
        if not os.path.isdir(kept.path):
            raise Failure(f"nothing was applied here: there is no {kept.path}")
        if self.wish.dry_run:
            return self._rollback_plan(kept)
        kept.lock()
        try:
            recovered = kept.progress()
            if recovered is not None and recovered.stage != "clearing":
                return self._undo_killed(kept, recovered, directory, facts)
            kept.recover()
            return self._rollback(kept, directory, facts)
        finally:
            kept.unlock()

    def _undo_killed(self, kept: State, progress: Progress, directory: str, facts: Platform) -> ExitCode:
        """A run that was killed is what is to be rolled back, and nothing before it."""
        done = kept.recover()
        if done == "switched":
            left = kept.progress()
            assert left is not None
            kept.revert(left)
        daemon = self._daemon(directory, facts)
        if daemon is not None and self.wish.reload and done != "undone":
            self._back(daemon)
        self._note(kept, "rolled back", progress.generation, "it had been killed")
        self.tell.say("the run that was killed is undone: the files are as they were before it")
        return ExitCode.AGREES

    def _rollback_changes(self, kept: State) -> tuple[Record, list[FileChange]]:
        number = self.outcome.generation = state.current(kept.path)
        try:
            record = state.load(kept.path, number) if number else None
            # One that found nothing to change is nothing to go back from.
            while record is not None and all(each.before == each.after for each in record.files):
                number = record.previous
                record = state.load(kept.path, number) if number else None
            if record is None:
                raise Failure("there is nothing to roll back: nothing was changed here")
            found = [
                (each.path, self.machine.look(each.path), _file(kept, number, index, each.before))
                for index, each in enumerate(record.files)
            ]
        except Damaged as error:
            raise Failure(f"the record of generation {number} {error}") from None
        return record, restored(found)

    def _rollback_plan(self, kept: State) -> ExitCode:
        record, changed = self._rollback_changes(kept)
        self.outcome.site, self.outcome.source = record.site, record.source
        self.outcome.status, self.outcome.changed = "planned", changed
        self.tell.say(f"generation {record.number} ({record.site}, from {record.source}) would be rolled back:")
        for each in changed:
            self.tell.say(f"  {each.path}: {'restored' if each.after is not None else 'removed'}")
        return ExitCode.FINDINGS if changed else ExitCode.AGREES

    def _rollback(self, kept: State, directory: str, facts: Platform) -> ExitCode:
        record, changed = self._rollback_changes(kept)
        self.outcome.site, self.outcome.source, self.outcome.changed = record.site, record.source, changed
        for each in changed:
            place.refuse_unsafe(self.machine.root, each.path)
        edited = kept.changed_since(record.number)
        if edited and not self.wish.discard_edits:
            self.outcome.status = "refused"
            for path in edited:
                self.tell.warn(f"{path} was changed since it was applied")
                self.outcome.reasons.append(f"{path} was changed since it was applied")
            self.tell.warn("nothing is rolled back; --discard-edits does it, and keeps what is replaced in the state")
            return ExitCode.FINDINGS
        before = self._subject(directory, facts)
        number = max(kept.numbers(), default=0) + 1
        back = Record(
            number, record.previous, record.site, f"rollback of {record.number}", record.manifest, __version__,
            int(self.now), directory, record.services, (),
        )  # fmt: skip
        kept.write_generation(back, changed, {}, self._own())
        after = self._seen(Overlay(self.machine, {each.path: each.after for each in changed}), directory, facts)
        needed = action(changed, before, after, certificates=False)
        told = changes(before.behaviour, after.behaviour)
        code = self._switch(kept, number, record.previous, changed, directory, facts, needed, None, record.directories)
        if code is ExitCode.AGREES:
            self.outcome.status = "rolled-back"
            self.tell.say(f"rolled back generation {record.number}: {len(changed)} files are as they were before it")
            for change in told:
                self.tell.say(f"  {change.where}: {change.now}{' (weaker)' if change.weaker else ''}")
        return code


def _file(kept: State, number: int, index: int, was: state.Status | None) -> File | None:
    return None if was is None else File(state.content(kept.path, number, "before", index), was.mode, was.uid, was.gid)


def _words(ended: Ended) -> str:
    return "; ".join(ended.said) or f"exit status {ended.code}"


def _why(row: Difference) -> str:
    return "; ".join(row.explanation) or f"{row.live}, desired {row.desired}"


def _named(each: Difference) -> str:
    place = f"{each.file}:{each.line}" if each.line else each.file
    what = f"{each.setting} = {each.live}" if each.live and each.setting != each.service else each.setting
    return f"{place}: {each.kind} {what}".rstrip() + (f" ({each.service})" if each.service else "")


def machine_platform(machine: Machine, directory: str | None) -> Platform:
    """The platform of a machine as what was applied there says, else as the machine itself does. Raises Failure."""
    base = state.directory(machine.root, "", "")
    places = [base] if directory is None else [state.directory(machine.root, directory, ""), base]
    for where in places:
        for number in reversed(State(machine, where).numbers()):
            found = Machine().look(f"{where}/{state.generation(number)}/bundle/manifest.json")
            if found is not None:
                try:
                    return platform(read_manifest(found.data.decode()).platform)
                except (ManifestError, UnicodeDecodeError, KeyError) as error:
                    raise Failure(f"{where}/{state.generation(number)}: the manifest {error}") from None
    for path in OS_RELEASE:
        release = machine.look(path)
        if release is not None:
            return platform(by_os_release(release.data.decode(errors="replace")) or nearest(None))
    return platform(nearest(None))
