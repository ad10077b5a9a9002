//! Chains as the engine makes them: `gantral_core::decide` says what is lawful, the story signs it.
//!
//! A story can be retold: a statement is changed after the fact and everything behind it linked and signed anew, so
//! that nothing is wrong but the one thing that a test is about.

use std::collections::BTreeMap;

use gantral_core::action::Action;
use gantral_core::command::*;
use gantral_core::decide::{create, decide, due};
use gantral_core::digest::{CommitmentLabel, Digest, Salt, commit};
use gantral_core::event::*;
use gantral_core::ids::*;
use gantral_core::instance::Instance;
use gantral_core::json::{Object, Value};
use gantral_core::policy::*;
use gantral_core::rule::{EscalationStep, GatePlan, Rule};
use gantral_core::state::*;
use gantral_core::table::semantics_digest;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::bundle::BundleWriter;
use gantral_evidence::container::{OwnedFiles, Scope};
use gantral_evidence::disclosure::Disclosure;
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Report, verify};

use crate::cast::*;

/// One execution as it happens.
pub struct Story {
    /// The instance as it stands after the newest event.
    pub instance: Instance,
    /// Every statement so far, linked.
    pub statements: Vec<Statement>,
    /// What opens every commitment so far.
    pub disclosures: Vec<Disclosure>,
    /// Milliseconds since 1970.
    pub now: u64,
    /// What kind of executor launches and consumes.
    pub executor: ExecutorKind,
    /// What gates demand and ballots carry.
    pub evidence: HumanEvidence,
    /// What policy is told of the workflow.
    pub materiality: Materiality,
    /// The evidence of decisions that policy asks for, where it asks for any.
    pub asks_for: Option<HumanEvidence>,
    /// Whether gates are named by the instant at which they were asked for, as the instance is.
    is_dated: bool,
    drawn: u64,
    /// The hash of each statement when it was last told.
    hashes: BTreeMap<ArtifactId, Digest>,
}

impl Story {
    /// Begins an execution of high materiality under enforcement.
    pub fn begin() -> Self {
        Self::of(Materiality::High, Mode::Enforce)
    }

    /// Begins an execution.
    pub fn of(materiality: Materiality, mode: Mode) -> Self {
        let identity = Identity {
            tenant: TenantId::parse("acme").unwrap(),
            origin: LogOrigin::parse("log.example/acme").unwrap(),
            instance: InstanceId::from_random([7; 16]),
            workflow: WorkflowRef {
                id: WorkflowId::parse("refunds").unwrap(),
                version: Name::parse("3").unwrap(),
                digest: Digest::of(b"definition"),
                materiality,
            },
        };
        let owner = Some(person(200));
        let requester = Requester {
            id: agent().id,
            kind: ActorKind::Workload,
            issuer: "https://issuer.example".to_owned(),
            owner,
        };
        let created = Created {
            requester: vec![requester],
            parent: None,
            session: None,
            trigger: Some(Name::parse("PAYMENT").unwrap()),
            context: None,
            expires_at: UnixMillis::new(START + 7 * 86_400_000).unwrap(),
        };
        let entry = create(&agent(), created, mode, UnixMillis::new(START).unwrap());
        let mut story = Self {
            instance: Instance::begin(identity, &entry).unwrap(),
            statements: Vec::new(),
            disclosures: Vec::new(),
            now: START,
            executor: ExecutorKind::Runner,
            evidence: HumanEvidence::Operator,
            materiality,
            asks_for: None,
            is_dated: false,
            drawn: 0,
            hashes: BTreeMap::new(),
        };
        story.seal(None, entry);
        story
    }

    /// Begins as [`Story::begin`] does, with an instance and gates that are named by their instants.
    pub fn begin_dated() -> Self {
        let mut story = Self { is_dated: true, ..Self::begin() };
        story.rename(InstanceId::at(START, [7; 16]));
        story
    }

    /// Returns the next 32 bytes of what stands for randomness: every telling of a story draws the same.
    pub fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        *Digest::of(&self.drawn.to_be_bytes()).as_bytes()
    }

    /// Returns sixteen of the bytes of [`Story::draw`].
    pub fn draw16(&mut self) -> [u8; 16] {
        self.draw()[..16].try_into().unwrap()
    }

    fn gate_id(&mut self) -> GateId {
        let random = self.draw16();
        if self.is_dated { GateId::at(self.now, random) } else { GateId::from_random(random) }
    }

    /// Gives the instance another name, in everything that was told so far.
    fn rename(&mut self, id: InstanceId) {
        self.instance.identity.instance = id;
        for statement in &mut self.statements {
            statement.identity.instance = id;
        }
        self.relink();
    }

    fn seal(&mut self, from_state: Option<State>, entry: Entry) -> Digest {
        let previous = self.statements.last().map(|last| artifact_hash(&last.encode()));
        let statement = Statement {
            artifact_id: ArtifactId::at(entry.at.get(), self.draw16()),
            identity: self.instance.identity.clone(),
            sequence: self.statements.len() as u64,
            previous,
            semantics: semantics_digest(),
            from_state,
            state: self.instance.state(),
            entry,
            anchor: None,
            blind: self.draw(),
        };
        let hash = artifact_hash(&statement.encode());
        self.hashes.insert(statement.artifact_id, hash);
        self.statements.push(statement);
        hash
    }

    fn record(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let from = self.instance.state();
            let mut after = self.instance.clone();
            // The state after does not depend on the hash; the hash depends on it.
            after.apply(&entry, Digest::of(b"not yet known")).unwrap();
            let before = std::mem::replace(&mut self.instance, after);
            let hash = self.seal(Some(from), entry.clone());
            self.instance = before;
            self.instance.apply(&entry, hash).unwrap();
        }
    }

    /// Returns the instant at which the story stands.
    pub fn at(&self) -> UnixMillis {
        UnixMillis::new(self.now).unwrap()
    }

    /// Lets a second pass, then has the machine decide a command and seals what follows.
    pub fn command(&mut self, actor: &Actor, command: Command) -> &mut Self {
        self.now += 1_000;
        let decided = decide(&self.instance, actor, command, self.at()).unwrap();
        assert_eq!(decided.refusal, None);
        self.record(decided.events);
        self
    }

    /// Lets seconds pass and seals what falls due.
    pub fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds * 1_000;
        let entries = due(&self.instance, &engine(), self.at());
        self.record(entries);
        self
    }

    /// Commits to bytes and keeps what opens the commitment.
    pub fn keep(&mut self, label: CommitmentLabel, plaintext: Vec<u8>) -> Digest {
        let salt = Salt::from_bytes(self.draw());
        let disclosure = Disclosure { label, salt, plaintext };
        let commitment = disclosure.commitment();
        self.disclosures.push(disclosure);
        commitment
    }

    /// Assigns an attempt and attaches it.
    pub fn launch(&mut self) -> &mut Self {
        let context = self.keep(CommitmentLabel::Context, b"{\"handed\":\"over\"}".to_vec());
        let executor = executor(self.executor);
        let lease = DurationMs::from_secs(30);
        self.command(&runner(), Command::Assign(Assignment { executor, context, lease }));
        let attempt = self.instance.attempt;
        self.command(&runner(), Command::Attach { attempt })
    }

    /// The bytes that policy evaluates for an action, as the contract says.
    pub fn input(&self, action: &Action) -> Object {
        let identity = &self.instance.identity;
        let instance = Object::new()
            .with("instance_id", identity.instance.to_string())
            .with("materiality", self.materiality.as_str())
            .with("owning_team_id", "payments")
            .with("workflow_id", identity.workflow.id.as_str())
            .with("workflow_version", identity.workflow.version.as_str());
        let visible = Object::new().with("amount", action.parameters.get("amount").unwrap().clone());
        let named = Object::new()
            .with("name", action.name.as_str())
            .with("parameters", visible)
            .with("target", action.target.as_str());
        Object::new()
            .with("action", named)
            .with("identity", Object::new().with("actor_id", "agent"))
            .with("instance", instance)
            .with("policy", Object::new().with("policy_version_id", policy_version().0.to_hex()))
    }

    /// What policy says about an action, as the engine keeps it: one snapshot under one salt for input and context.
    pub fn advise(&mut self, action: &Action, verdict: Verdict, plan: Option<GatePlan>) -> (Advice, Digest) {
        let input = self.input(action);
        self.advise_on(input, verdict, plan)
    }

    /// As [`Story::advise`], for an input that the caller made.
    pub fn advise_on(&mut self, input: Object, verdict: Verdict, plan: Option<GatePlan>) -> (Advice, Digest) {
        let context = self.keep(CommitmentLabel::Context, Value::Object(input).to_canonical());
        let kept = self.disclosures.last().unwrap();
        let input = commit(CommitmentLabel::Input, &kept.salt, &kept.plaintext);
        let document = match self.asks_for {
            None => Value::from(verdict.as_str()),
            Some(evidence) => Object::new()
                .with("decision", verdict.as_str())
                .with("required_evidence", evidence.as_str())
                .into(),
        };
        let decision = self.keep(CommitmentLabel::Decision, document.to_canonical());
        let policy = PolicyRecord {
            version: policy_version(),
            evaluator: EvaluatorId {
                engine: Name::parse("regorus").unwrap(),
                version: Name::parse("0.14.1").unwrap(),
            },
            input,
            decision: Some(decision),
            verdict,
            failure: None,
        };
        (Advice { policy, plan }, context)
    }

    /// Returns a gate that asks so many persons of finance for ten minutes.
    pub fn plan(&self, required: u32, escalation: Vec<EscalationStep>) -> GatePlan {
        GatePlan {
            rule: Rule::one_group(vec![role("finance")], required, self.evidence),
            timeout: DurationMs::from_secs(600),
            escalation,
        }
    }

    /// Asks for an action, on which policy says `verdict`.
    pub fn ask(&mut self, action: &Action, verdict: Verdict, plan: Option<GatePlan>) -> &mut Self {
        let (advice, context) = self.advise(action, verdict, plan);
        self.ask_with(action, advice, context, Mode::Enforce)
    }

    /// Asks for an action with advice that the caller made.
    pub fn ask_with(&mut self, action: &Action, advice: Advice, context: Digest, mode: Mode) -> &mut Self {
        let committed = self.keep(CommitmentLabel::Action, action.to_canonical());
        let gate = Asked {
            id: self.gate_id(),
            version: 1,
            action: committed,
            context,
            step: Some(Name::parse("refund").unwrap()),
        };
        let ask = Ask {
            attempt: self.instance.attempt,
            gate,
            grant: GrantId::from_random(self.draw16()),
            grant_lifetime: DurationMs::from_secs(3_600),
            advice,
            mode,
            consume: None,
        };
        self.command(&agent(), Command::Ask(Box::new(ask)))
    }

    /// What a human would say at the open gate.
    pub fn ballot(&mut self, decision: DecisionKind, approved: Option<Digest>) -> Granted {
        let justification = self.keep(CommitmentLabel::Justification, b"within the goodwill limit".to_vec());
        let gate = self.instance.gate().unwrap().clone();
        let ballot = Ballot {
            gate: gate.asked.id,
            gate_version: gate.asked.version,
            request_artifact_hash: gate.opened_by,
            decision,
            asked: gate.asked.action,
            approved: approved.unwrap_or(gate.asked.action),
            display: Digest::of(b"display"),
            role: role("finance"),
            justification: Some(justification),
            acts_for: None,
            delegation: None,
            break_glass: false,
            directory_entry: None,
            evidence: self.evidence,
            evidence_digest: None,
        };
        let id = GrantId::from_random(self.draw16());
        let expires_at = UnixMillis::new(self.now + 3_600_000).unwrap();
        Granted { ballot, grant: GrantTerms { id, expires_at } }
    }

    /// Has a person of finance decide at the open gate.
    pub fn decide(&mut self, voter: u8, decision: DecisionKind, approved: Option<Digest>) -> &mut Self {
        let granted = self.ballot(decision, approved);
        self.command(&human(voter, "finance"), Command::Decide(Box::new(granted)))
    }

    /// Has the first person change the action that was asked for.
    pub fn override_to(&mut self, action: &Action) -> &mut Self {
        let approved = self.keep(CommitmentLabel::Action, action.to_canonical());
        self.decide(1, DecisionKind::Override, Some(approved))
    }

    /// Returns who consumes, and within which time it must act.
    pub fn consumer(&self) -> Consumer {
        Consumer {
            executor: executor(self.executor),
            act_within: DurationMs::from_secs(60),
            governance_head: None,
            freeze_epoch: 0,
        }
    }

    /// Uses the only grant, and reports that it went well.
    pub fn act(&mut self, action: &Action) -> &mut Self {
        let grant = self.consume(action);
        self.report(Some(grant))
    }

    /// Returns the grant that was used last.
    pub fn consumed_grant(&self) -> Option<GrantId> {
        self.statements.iter().rev().find_map(|statement| match &statement.entry.event {
            Event::Consumed(detail) => Some(detail.grant),
            _ => None,
        })
    }

    /// Uses the only grant, and returns it.
    pub fn consume(&mut self, action: &Action) -> GrantId {
        self.consume_under(action, Verdict::Allow, None)
    }

    /// Uses the only grant, on which policy says `verdict`, and returns it.
    pub fn consume_under(&mut self, action: &Action, verdict: Verdict, plan: Option<GatePlan>) -> GrantId {
        let (grant, terms) = self.instance.grants.iter().next().map(|(id, g)| (*id, g.clone())).unwrap();
        let (under_current, context) = self.advise(action, verdict, plan);
        let consume = Consume {
            attempt: self.instance.attempt,
            grant,
            action: terms.action,
            context,
            under_gate: None,
            under_current,
            consumer: self.consumer(),
            gate: self.gate_id(),
        };
        self.command(&agent(), Command::Consume(Box::new(consume)));
        grant
    }

    /// Reports that it went well.
    pub fn report(&mut self, grant: Option<GrantId>) -> &mut Self {
        let result = self.keep(CommitmentLabel::Outcome, b"{\"receipt\":\"R-1\"}".to_vec());
        let outcome = Outcome {
            grant,
            status: OutcomeStatus::Succeeded,
            result: Some(result),
            evidence: Vec::new(),
            cost: Some(480),
        };
        let attempt = self.instance.attempt;
        self.command(&agent(), Command::Report { attempt, outcome })
    }

    /// Ends the newest attempt with an exit status.
    pub fn exit(&mut self, status: i32) -> &mut Self {
        let attempt = self.instance.attempt;
        let end = AttemptEnd::Exited(status);
        self.command(&runner(), Command::EndAttempt { attempt, end, may_retry: false })
    }

    /// Plays [`Story::refund`] as another instance: one for each number.
    pub fn numbered(number: u8) -> Self {
        let mut story = Self::refund();
        story.rename(InstanceId::from_random([number; 16]));
        story
    }

    /// An agent asks for 4,800, exits; a human makes it 480; a fresh process does that.
    /// Returns the action of the stories: a refund of so many minor units.
    pub fn refund() -> Self {
        let mut story = Self::begin();
        story.launch();
        let plan = story.plan(1, Vec::new());
        story.ask(&refund(4_800), Verdict::RequireHuman, Some(plan)).exit(3);
        story.override_to(&refund(480)).launch().act(&refund(480)).exit(0);
        story
    }

    /// Policy allows at once.
    pub fn allowed() -> Self {
        let mut story = Self::begin();
        story.launch().ask(&refund(20), Verdict::Allow, None).act(&refund(20)).exit(0);
        story
    }

    /// Two persons must agree, and do.
    pub fn quorum() -> Self {
        let mut story = Self::begin();
        story.launch();
        let plan = story.plan(2, Vec::new());
        story.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
        story.decide(1, DecisionKind::Approve, None).decide(2, DecisionKind::Approve, None);
        story.launch().act(&refund(900)).exit(0);
        story
    }

    /// Nobody answers; others are asked; nobody answers.
    pub fn timed_out() -> Self {
        let mut story = Self::begin();
        story.launch();
        let step = EscalationStep { roles: vec![role("director")], duration: DurationMs::from_secs(600) };
        let plan = story.plan(1, vec![step]);
        story.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
        story.wait(600).wait(600);
        story
    }

    /// Returns the sequence of the first event of a kind.
    pub fn position(&self, kind: EventKind) -> usize {
        self.position_of(kind).unwrap()
    }

    /// Returns the sequence of the first event of a kind, if there is one.
    pub fn position_of(&self, kind: EventKind) -> Option<usize> {
        self.statements.iter().position(|statement| statement.entry.event.kind() == kind)
    }

    /// Returns the sequence of the first statement that `other` tells otherwise.
    pub fn position_of_change(&self, other: &Self) -> usize {
        self.statements.iter().zip(&other.statements).position(|(this, that)| this != that).unwrap()
    }

    /// Changes one statement, then links everything behind it anew.
    pub fn retell(mut self, kind: EventKind, change: impl FnOnce(&mut Statement)) -> Self {
        let at = self.position(kind);
        change(&mut self.statements[at]);
        self.relink();
        self
    }

    /// Links all statements anew; ballots name the gate's new hash.
    pub fn relink(&mut self) {
        let mut renamed: BTreeMap<Digest, Digest> = BTreeMap::new();
        let mut previous = None;
        for (sequence, statement) in self.statements.iter_mut().enumerate() {
            statement.sequence = sequence as u64;
            statement.previous = previous;
            if let Some(ballot) = ballot_mut(&mut statement.entry.event)
                && let Some(new) = renamed.get(&ballot.request_artifact_hash)
            {
                ballot.request_artifact_hash = *new;
            }
            let hash = artifact_hash(&statement.encode());
            if let Some(old) = self.hashes.insert(statement.artifact_id, hash) {
                renamed.insert(old, hash);
            }
            previous = Some(hash);
        }
    }

    /// Returns the scope that a bundle of the story can claim.
    pub fn scope(&self) -> Scope {
        let ended = self.statements.last().is_some_and(|last| last.state.is_final());
        if ended { Scope::Complete } else { Scope::Prefix }
    }

    /// The bundle's files before they are listed, so that a test can add to them.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut writer = BundleWriter::new(self.instance.identity.instance).unwrap();
        for statement in &self.statements {
            writer.artifact(sign(statement, &issuer()).envelope).unwrap();
        }
        for disclosure in &self.disclosures {
            writer.disclosure(disclosure).unwrap();
        }
        writer.key(&public(&issuer())).unwrap();
        let files = writer.finish(self.scope()).unwrap();
        let read = files.as_files().unwrap();
        read.iter()
            .filter(|(path, _)| *path != "bundle.json")
            .map(|(path, content)| (path.to_owned(), content.to_vec()))
            .collect()
    }

    /// Lists the files as a bundle.
    pub fn bundle(&self, scope: Scope, files: BTreeMap<String, Vec<u8>>) -> OwnedFiles {
        let mut owned = OwnedFiles::new();
        for (path, content) in files {
            owned.insert(&path, content).unwrap();
        }
        owned.seal(self.instance.identity.instance, scope).unwrap();
        owned
    }

    /// Verifies the story under [`trust`].
    pub fn verify(&self) -> Report {
        self.verify_under(&trust())
    }

    /// Verifies the story under a trust file.
    pub fn verify_under(&self, trust: &Trust) -> Report {
        self.verify_changed(self.scope(), Some(trust), |_| {})
    }

    /// Verifies the story after its files were changed, and listed anew.
    pub fn verify_changed(
        &self,
        scope: Scope,
        trust: Option<&Trust>,
        change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>),
    ) -> Report {
        let mut files = self.files();
        change(&mut files);
        let bundle = self.bundle(scope, files);
        verify(&bundle.as_files().unwrap(), trust)
    }
}

/// Returns the policy version of every evaluation.
pub fn policy_version() -> PolicyVersionId {
    PolicyVersionId(Digest::of(b"policy"))
}

/// Returns the ballot that an event carries.
pub fn ballot_mut(event: &mut Event) -> Option<&mut Ballot> {
    match event {
        Event::Vote(ballot) => Some(ballot),
        Event::Approved(granted) | Event::Overridden(granted) => Some(&mut granted.ballot),
        Event::Rejected(detail) => detail.ballot.as_mut(),
        _ => None,
    }
}
