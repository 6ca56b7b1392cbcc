/** Types of the REST API. Generated from the OpenAPI document by tools/rest_types.py. */

/** An AdmissionReview with its response. */
export interface AdmissionAnswer {
  apiVersion?: string;
  kind?: string;
  response: AdmissionResponse;
}

/** A problem of the resource. */
export interface AdmissionCause {
  reason: string;
  field: string;
  message: string;
}

/** The problems, which `kubectl` prints instead of the message. */
export interface AdmissionDetails {
  causes: AdmissionCause[];
}

/** The resource to be stored; absent for a deletion. */
export interface AdmissionRequest {
  uid: string;
  object?: Record<string, unknown> | null;
}

/** The verdict on a resource. */
export interface AdmissionResponse {
  uid: string;
  allowed: boolean;
  status?: AdmissionStatus;
  warnings?: string[];
}

/** `admission.k8s.io/v1` AdmissionReview; other members are ignored. */
export interface AdmissionReview {
  request: AdmissionRequest;
}

/** The reason of a rejection. */
export interface AdmissionStatus {
  code: number;
  reason: string;
  message: string;
  details: AdmissionDetails;
}

/** A move that would make the loads of two cells more even. */
export interface AdvisedMoveValue {
  project: string;
  from: string;
  to: string;
  bytes: number;
}

/** Bounds of a namespace, or what it uses of them. */
export interface AgentBounds {
  agents: number;
  cpu: number;
  memoryBytes: number;
  startsPerMinute: number;
}

/** A cause of fewer agents than tasks need. */
export interface AgentFinding {
  spec: string;
  cause: string;
  evidence: string;
}

/** One cause for each spec that has one. */
export interface AgentFindings {
  findings: AgentFinding[];
}

/** Agents, the newest first. */
export interface AgentList {
  agents: AgentValue[];
}

/** One life of an agent. */
export interface AgentValue {
  agentId: string;
  spec: string;
  version: number;
  state: "degraded" | "draining" | "failed" | "pending" | "ready" | "starting" | "stopped";
  reason?: string;
  lastWords?: string;
  exitCode: number;
  pid: number;
  node: string;
  cpu: number;
  memoryBytes: number;
  slots: number;
  busy: number;
  isolation: "none" | "sandbox" | "user";
  enforcement: Record<string, string>;
  createdAt: string;
  readyAt?: string;
  endedAt?: string;
}

/** An alert for `count` events within the window, or for a metric; once per window. */
export interface AlertRuleValue {
  count?: number;
  windowMs?: number;
  metric?: MetricRuleValue | null;
}

/** A graph, with the graphs of its maps. `pathCount` counts all paths, listed or not. Above 2^63 it is -1, and `pathCountText` holds it. `criticalPathMs` uses the known durations: those of timers and time limits, or observed ones. */
export interface AnalysisAnswer {
  name: string;
  version: number;
  forest: Forest;
  nodes: Record<string, GraphNode>;
  edges: Record<string, Edge>;
  paths: GraphPath[];
  pathCount: number;
  pathCountText: string;
  pathsCapped: boolean;
  execution: GraphExecution;
  roots: string[];
  leaves: string[];
  groups: string[][];
  branchPoints: string[];
  convergencePoints: string[];
  criticalPath: string[];
  criticalPathMs: number;
  depth: number;
  maps?: Record<string, AnalysisAnswer>;
}

/** API keys of a project, newest first. */
export interface ApiKeyList {
  keys: ApiKeyValue[];
  nextPageToken: string;
}

/** An API key without its secret; empty lists mean any. */
export interface ApiKeyValue {
  id: string;
  projectId: string;
  name: string;
  role: string;
  queues: string[];
  taskTypes: string[];
  networks: string[];
  permissions: string[];
  createdAt: string;
  createdBy: string;
  expiresAt?: string;
  lastUsedAt?: string;
}

/** A place of an application that is wrong; `app.yaml` is the document. */
export interface AppFindingValue {
  code: string;
  severity: "error" | "warning";
  message: string;
  path: string;
  line?: number;
  column?: number;
  broken?: BrokenWorkflow;
  file: string;
}

/** Applications by name. */
export interface AppList {
  apps: AppValue[];
}

/** The findings of a document. */
export interface AppValidation {
  valid: boolean;
  problems: AppFindingValue[];
}

/** A hosted application. */
export interface AppValue {
  app: string;
  state: "crashing" | "running" | "starting" | "stopped";
  release: number;
  newestRelease: number;
  addresses: Record<string, string>;
  problem?: string;
  memoryBytes: number;
  restarts: number;
  createdAt: string;
  changedAt: string;
}

/** Events to append, all or none. */
export interface AppendEventsRequest {
  events: NewEventBody[];
  expected?: number | "any" | "exists" | "none";
}

/** The effect of an append; `duplicate` if the events were stored before. */
export interface AppendedValue {
  firstVersion: number;
  lastVersion: number;
  position: number;
  duplicate: boolean;
}

/** Applied resources in the order of the source; a single one is also at the top level. */
export interface Applied {
  resources: AppliedResource[];
  kind?: string;
  name?: string;
  version?: number;
  digest?: string;
  created: boolean;
  warnings?: ProblemValue[];
  affected?: WorkflowReference[];
  affectedCount?: number;
}

/** An applied resource. */
export interface AppliedResource {
  kind: string;
  name: string;
  version: number;
  digest: string;
  created: boolean;
}

/** A link. Every holder of the URL can decide as `by`, once and until it expires. */
export interface ApprovalLink {
  url: string;
  by: string;
  expiresAt: string;
}

/** Pending approvals, oldest first. */
export interface ApprovalList {
  approvals: PendingApproval[];
  nextPageToken: string;
}

/** A pending approval; without `assignees` any person may decide. */
export interface ApprovalValue {
  assignees: string[];
  needed: number;
  dueAt?: string;
  escalated: boolean;
  details: unknown;
  form?: unknown;
  decisions: DecisionValue[];
}

/** Archived executions, oldest first; `capped` is true if there are more. */
export interface ArchivedList {
  executions: ExecutionSummary[];
  capped: boolean;
  nextPageToken: string;
}

/** A text in English, of a model service or of rules. */
export interface AssistantAnswer {
  text: string;
  provider: string;
  model: string;
  passedOver: string[];
  usage: TokenUsage;
}

/** Times of one attempt: ready, started, ended. */
export interface AttemptTrace {
  attempt: number;
  readyMs: number;
  startedMs?: number;
  endedMs?: number;
  waitMs?: number;
  runMs?: number;
  deliveries: number;
  workerId?: string;
  error?: ErrorPart;
}

/** New values of declared search attributes; null removes one. */
export interface AttributesRequest {
  attributes: Record<string, unknown>;
  times?: string[];
  requestId?: string;
}

/** Entries, newest first. */
export interface AuditEntryList {
  entries: AuditEntryValue[];
  nextPageToken?: string;
}

/** A change or a refusal. `before` and `after` are digests of the object. */
export interface AuditEntryValue {
  sequence: number;
  at: string;
  actor: string;
  method: string;
  scope: string;
  target: string;
  outcome: string;
  before: string;
  after: string;
  details: unknown;
  address: string;
  source: string;
  hash: string;
}

/** The check of a chain; `brokenSequence` is the first entry that does not fit. */
export interface AuditVerification {
  entries: number;
  intact: boolean;
  brokenSequence?: number;
  problem?: string;
  headHash: string;
}

/** The outcome of an event of a batch; refused if it has an `error`. */
export interface BatchedValue {
  id: string;
  created: boolean;
  triggers: number;
  error?: Record<string, unknown>;
}

/** Bindings of exchanges. */
export interface BindingList {
  bindings: BindingValue[];
}

/** A binding to a queue or to another exchange. */
export interface BindingRequest {
  queue?: string;
  exchange?: string;
  key?: string;
  headers?: Record<string, string | number | boolean | null>;
  match?: "all" | "all-with-x" | "any" | "any-with-x";
}

/** A binding to a queue or to an exchange. */
export interface BindingValue {
  source: string;
  queue?: string;
  exchange?: string;
  key: string;
  headers: Record<string, unknown>;
  match: string;
}

/** The first owner of an installation. */
export interface BootstrapRequest {
  token: string;
  email: string;
  password: string;
  name?: string;
  cookie?: boolean;
}

/** The largest cost on the critical path: the run of a task, or a reason of its waiting. */
export interface Bottleneck {
  taskId: string;
  reason: "child" | "dependency" | "engine" | "handler" | "items" | "parallelism" | "pause" | "people" | "retry" | "signal" | "start" | "worker" | "run";
  ms: number;
  share: number;
  text: string;
}

/** The tasks of a workflow, the most expensive first. */
export interface Bottlenecks {
  workflow: string;
  executions: number;
  versions: number[];
  duration: Percentiles;
  nodes: NodeCost[];
  truncated: boolean;
}

/** Circuit breakers, sorted by upstream. */
export interface BreakerList {
  breakers: BreakerValue[];
}

/** A circuit breaker that is not closed. */
export interface BreakerValue {
  upstream: string;
  state: string;
  retryAfterMs: number;
  calls: number;
  failures: number;
  workerService: string;
}

/** The breakpoints of an execution. */
export interface Breakpoints {
  all: boolean;
  nodes: string[];
}

/** The new breakpoints; without any, all are removed and stopped nodes continue. */
export interface BreakpointsRequest {
  all?: boolean;
  nodes?: string[];
  requestId?: string;
}

/** A version of a workflow in use, and a problem that it gets from the change of a task. */
export interface BrokenWorkflow {
  namespace: string;
  workflow: string;
  version: number;
  problem: string;
}

/** Progress of a bulk. `skipped` counts executions whose state does not allow the action. */
export interface BulkAnswer {
  bulkId: string;
  action: string;
  filter: string;
  status: "canceled" | "completed" | "running";
  matched: number;
  applied: number;
  skipped: number;
  failed: number;
  failures: BulkFailureValue[];
  createdAt?: string;
  endedAt?: string;
  ratePerSecond: number;
  reason: string;
  actor: string;
}

/** An execution on which the action failed. */
export interface BulkFailureValue {
  executionId: string;
  reason: string;
  message: string;
}

/** Bulks, newest first, at most 100. */
export interface BulkList {
  bulks: BulkAnswer[];
}

/** A start of a bulk, or with `preview` a count of its executions. */
export interface BulkRequest {
  filter: string;
  action?: string;
  reason?: string;
  signal?: string;
  payload?: unknown;
  fromFailed?: boolean;
  newestVersion?: boolean;
  ratePerSecond?: number;
  preview?: boolean;
  requestId?: string;
}

/** A call that was recorded and not sent: over HTTP, or to the worker of a task type. Values of headers, members and query parameters with secret-like names are masked. */
export interface Call {
  node: string;
  attempt: number;
  atMs: number;
  type: string;
  input?: unknown;
  method?: string;
  url?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

/** The services of a namespace, and the calls of the last minutes. */
export interface CallTopology {
  minutes: number;
  nodes: TopologyNodeValue[];
  edges: TopologyEdgeValue[];
}

/** Versions by name, the newest first. */
export interface CatalogueList {
  plugins: CataloguePluginValue[];
}

/** A version in the catalogue. */
export interface CataloguePluginValue {
  name: string;
  version: string;
  kind: "connector" | "format" | "login" | "module-type" | "panel" | "task" | "transform";
  summary: string;
  flowmesh: string;
  supported: boolean;
  taskTypes: string[];
  permissions: string[];
  configurationSchema: unknown;
  digest: string;
  installedVersion?: string;
}

/** A cause of waiting, now or in executions to come. */
export type Cause = "APPROVAL" | "BODY_RUNS" | "BREAKPOINT" | "CHILD" | "COMPENSATING" | "DEFINITION_INVALID" | "DEPENDENCY" | "DISPATCHING" | "ENDED" | "GOES_ROUND" | "GRAPH_CYCLE" | "HANDLER" | "INPUT_PREPARED" | "JOIN" | "LIMIT" | "LIMIT_MISSING" | "LIMIT_TOO_SHORT" | "MAP_CONCURRENCY" | "NODE_ENDED" | "NOTHING_OPEN" | "NOT_REACHED" | "NO_WORKER" | "ON_HOLD" | "OTHER" | "PARALLELISM" | "PARTITION_UNOWNED" | "PAUSED" | "PERMISSION_DENIED" | "RETRY_BACKOFF" | "RUNNING" | "RUNNING_WITHOUT_LIMIT" | "SIGNAL" | "SIGNAL_WITHOUT_LIMIT" | "START_DEBOUNCE" | "START_DELAY" | "START_TURN" | "STOPPING" | "TIMER" | "UNDO" | "UNDO_FAILED" | "WORKERS_BUSY" | "WORKER_AWAY";

/** Causes by time, or only their `count`. */
export interface CauseList {
  causes: CauseValue[];
  count?: number;
  nextPageToken: string;
}

/** A cause of a firing, and the request id of the execution that it starts. */
export interface CauseValue {
  name: string;
  at: string;
  requestId: string;
  input?: unknown;
  error?: string;
}

/** Loads and moves; `partial` has the cells that did not answer. */
export interface CellAdvice {
  loads: CellLoadValue[];
  moves: AdvisedMoveValue[];
  partial: string[];
}

/** An execution of a project in a cell. */
export interface CellExecution {
  executionId: string;
  workflow: string;
  workflowName: string;
  version: number;
  format?: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  startedAt?: string;
  endedAt?: string;
  durationMs?: number;
  lastSequence?: number;
  requestId?: string;
  error?: FailureValue;
  archived?: boolean;
  search?: Record<string, unknown>;
  namespace: string;
  cell: string;
}

/** Executions, newest first; `partial` has the cells that did not answer. */
export interface CellExecutionList {
  executions: CellExecution[];
  nextPageToken: string;
  partial: string[];
}

/** Cells by number, and moves by project. */
export interface CellList {
  cells: CellValue[];
  moves: CellMoveValue[];
}

/** The bytes that a project added to histories in the last day. */
export interface CellLoadValue {
  project: string;
  cell: string;
  bytes: number;
}

/** A project on its way from a cell to another. */
export interface CellMoveValue {
  project: string;
  from: string;
  to: string;
  step: "copying" | "ending" | "starting" | "switching";
}

/** A cell; `projects` counts those that the directory names, `own` is that of this gateway. */
export interface CellValue {
  name: string;
  number: number;
  region: string;
  state: "closed" | "draining" | "open";
  projects: number;
  http: string;
  grpc: string;
  own: boolean;
}

/** Changes, newest first. */
export interface ChangeList {
  changes: ChangeValue[];
  nextPageToken: string;
}

/** The replication slot of a change trigger, as of `checkedAt`. `lagBytes` is the log that the database keeps for it, and `keepBytesMax` the limit of the database on that (`max_slot_wal_keep_size`), absent if there is none. A slot that is `LOST` begins anew when the trigger is paused and resumed. */
export interface ChangeSlotValue {
  name: string;
  phase: "CREATING" | "LOST" | "READING";
  lagBytes: number;
  keepBytesMax?: number;
  position?: string;
  problem?: string;
  checkedAt?: string;
}

/** A change of a definition, with its actor and reason. */
export interface ChangeValue {
  number: number;
  action: string;
  version?: number;
  previousVersion?: number;
  label?: string;
  actor?: string;
  reason?: string;
  changedAt: string;
  differences: DifferenceValue[];
  truncated: boolean;
}

/** A check that the registry makes; 0 stands for the default. */
export interface CheckBody {
  kind: "grpc" | "http" | "tcp";
  path?: string;
  service?: string;
  tls?: boolean;
  intervalMs?: number;
  timeoutMs?: number;
  unhealthyAfter?: number;
  healthyAfter?: number;
}

/** Changed states with the new checkpoint, stored together or not at all. */
export interface CommitProjectionRequest {
  generation: number;
  fromCheckpoint: number;
  toCheckpoint: number;
  states?: ProjectionStateBody[];
}

/** Companies in which the caller has a role, sorted by slug. */
export interface CompanyList {
  companies: CompanyValue[];
  nextPageToken: string;
}

/** The plan of a company, and the use of all its projects in this month. */
export interface CompanyPlan {
  plan: PlanValue;
  used: MeteredValue;
  resetsAt: string;
  billedAt?: string;
  billingProblem?: string;
}

/** A company; the `ETag` header of the response is for `If-Match`. */
export interface CompanyValue {
  id: string;
  slug: string;
  name: string;
  createdAt: string;
  etag: string;
}

/** A worker and its attempts of the time; `problem` tells why it is sick. */
export interface ComparedWorkerValue {
  workerId: string;
  completed: number;
  failed: number;
  meanMs: number;
  attached: boolean;
  attachedAt?: string;
  running: number;
  slots: number;
  problem?: string;
}

/** Two executions side by side. Durations are shown but not compared. */
export interface Comparison {
  left: Side;
  right: Side;
  same: boolean;
  firstDivergence?: Divergence;
  leftPath: string[];
  rightPath: string[];
  input: Difference[];
  output: Difference[];
  variables: Difference[];
  nodes: NodeComparison[];
  truncated: boolean;
}

/** The compatibility of version `to` with `from`; `to` 0 is the definition in the request. */
export interface CompatibilityAnswer {
  name: string;
  from: number;
  to: number;
  verdict: "breaking" | "compatible" | "unknown";
  input: "breaking" | "compatible" | "unknown";
  output: "breaking" | "compatible" | "unknown";
  reasons: ReasonValue[];
  executions: MoveValue[];
  truncated: boolean;
}

/** The configuration of a plugin. */
export interface ConfigureBody {
  configuration: Record<string, unknown>;
  accepted?: string[];
  allProjects?: boolean;
}

/** The only connections of an agent beside those to the suite. */
export interface ConnectionsBody {
  endpoints?: string[];
}

/** The only connections of an agent beside those to the suite. */
export interface ConnectionsValue {
  endpoints: string[];
}

/** The caller as the console needs it; `me` is present in a closed installation only. `codec_server` is the URL of the installation, with the place of the namespace in it. */
export interface ConsoleSession {
  auth: "closed" | "open";
  version: string;
  time: string;
  me?: MeAnswer;
  codecServer?: string;
}

/** Counts, the largest group first; `groupsCapped` is true if there are more groups. `warnings` has names of the filter and the groups that no execution has. */
export interface CountAnswer {
  count: number;
  groups: CountGroup[];
  groupsCapped: boolean;
  warnings?: string[];
}

/** A group of executions with its values of the grouping names; empty for none. */
export interface CountGroup {
  values: Record<string, string>;
  count: number;
}

/** A number of messages. */
export interface CountValue {
  count: number;
}

/** A new API key. */
export interface CreateApiKeyRequest {
  name: string;
  role: "viewer" | "editor" | "admin" | "worker";
  queues?: string[];
  taskTypes?: string[];
  networks?: string[];
  permissions?: string[];
  expiresAt?: string;
}

/** A new project with its namespace. */
export interface CreateProjectRequest {
  slug: string;
  name?: string;
  requestId?: string;
  namespace?: string;
}

/** A new company or organization. */
export interface CreateRequest {
  slug: string;
  name?: string;
  requestId?: string;
}

/** An API key with its secret. */
export interface CreatedApiKey {
  id: string;
  projectId: string;
  name: string;
  role: string;
  queues: string[];
  taskTypes: string[];
  networks: string[];
  permissions: string[];
  createdAt: string;
  createdBy: string;
  expiresAt?: string;
  lastUsedAt?: string;
  secret: string;
}

/** A new invitation with the token for `register`. */
export interface CreatedInvitation {
  id: string;
  email: string;
  grant: GrantValue;
  createdAt: string;
  expiresAt: string;
  token: string;
}

/** Executions that started in the last `hours`, by status, with rates and errors. `active` are the executions of any age that have not ended. */
export interface DashboardAnswer {
  at: string;
  hours: number;
  executions: Record<string, number>;
  active: Record<string, number>;
  rates: RatesValue;
  errors: ErrorCount[];
  workflows: WorkflowNumbers[];
  resources: ResourcesValue;
  unreachable: string[];
}

/** A deleted dashboard. */
export interface DashboardDeleted {
  deleted: boolean;
}

/** Saved dashboards by name. */
export interface DashboardList {
  dashboards: DashboardSummaryValue[];
}

/** Series that are drawn together; `hours` is the own time of a number or a table. */
export interface DashboardPanelValue {
  title: string;
  kind: "line" | "number" | "table";
  unit: "bytes" | "count" | "per-second" | "seconds" | "share";
  hours?: number;
  series: DashboardSeriesValue[];
}

/** A query of a kept series; without a label, a line has the value of the label in `by`. */
export interface DashboardSeriesValue {
  metric: string;
  label?: string;
  where: string[];
  by?: string;
  quantile?: number;
}

/** A saved dashboard without its panels. */
export interface DashboardSummaryValue {
  name: string;
  title: string;
  panelCount: number;
  updatedAt: string;
}

/** Failed tasks of a page of failed executions, newest first. */
export interface DeadLetterList {
  letters: DeadLetterValue[];
  nextPageToken: string;
}

/** A task that failed for good and failed its execution. */
export interface DeadLetterValue {
  executionId: string;
  workflow: string;
  task: string;
  queue: string;
  taskType: string;
  attempts: number;
  error: FailureValue;
  failedAt?: string;
}

/** The reason why a message became a dead letter. */
export interface DeathValue {
  reason: string;
  queue: string;
  firstAt: string;
  lastAt: string;
  count: number;
  error?: string;
}

/** The decision is in the history, up to event `sequence`. */
export interface Decided {
  executionId: string;
  sequence: number;
  outcome?: "approved" | "rejected";
}

/** Decisions, the newest first. */
export interface DecisionList {
  decisions: ScalingDecisionValue[];
}

/** A decision on an approval. */
export interface DecisionRequest {
  approved: boolean;
  by?: string;
  comment?: string;
  form?: unknown;
  requestId?: string;
}

/** A decision of an assignee. */
export interface DecisionValue {
  by: string;
  approved: boolean;
  comment?: string;
  form?: unknown;
  at: string;
}

/** A declaration; `created` is false if it existed with the same arguments. */
export interface DeclaredValue {
  created: boolean;
}

/** Definitions as they were posted. */
export interface DefinitionList {
  workflows: Record<string, unknown>[];
  nextPageToken: string;
}

/** A number of deleted events. */
export interface DeletedEvents {
  deleted: number;
}

/** The effect of a deletion. */
export interface DeletedValue {
  deleted: boolean;
}

/** A release of an application; a `baseRelease` must be the present one. */
export interface DeployRequest {
  document: string;
  files?: Record<string, FileBody>;
  environment?: Record<string, string>;
  baseRelease?: number;
  role?: "" | "admin" | "editor" | "viewer";
}

/** The deployment of a workflow; `triggers` and `pausedTriggers` are numbers. */
export interface DeploymentValue {
  workflow: string;
  status: "deployed" | "stopped" | "undeployed";
  version?: number;
  deployedAt?: string;
  deployedBy?: string;
  stoppedAt?: string;
  stoppedBy?: string;
  reason?: string;
  triggers: number;
  pausedTriggers: number;
}

/** The code that a device shows. */
export interface DeviceApproval {
  userCode: string;
}

/** The codes of a device: one that it keeps, and one that it shows. */
export interface DeviceLogin {
  deviceCode: string;
  userCode: string;
  expiresAt: string;
  intervalSeconds: number;
  verificationUrl?: string;
  authorizationUrl?: string;
}

/** The code that a device keeps. */
export interface DeviceRequest {
  deviceCode: string;
}

/** The causes that would prevent executions of a workflow from ending. */
export interface Diagnosis {
  workflow: string;
  version: number;
  findings: Finding[];
}

/** The differences from version `from` to version `to`. */
export interface DiffAnswer {
  name: string;
  from: number;
  to: number;
  differences: DifferenceValue[];
}

/** A place where two values differ; an empty path is the whole value. */
export interface Difference {
  path: string;
  action: "added" | "changed" | "removed";
  before?: unknown;
  after?: unknown;
}

/** A difference; `field` is the changed part of `subject`. */
export interface DifferenceValue {
  area: string;
  action: string;
  subject: string;
  field?: string;
  before?: unknown;
  after?: unknown;
}

/** Positions of messages to delete. */
export interface DiscardMessagesRequest {
  sequences: number[];
}

/** A stop or start of dispatch for a workflow, or for the namespace without one. */
export interface DispatchRequest {
  workflow?: string;
  reason?: string;
}

/** The first difference: in version or input, or at a task. */
export interface Divergence {
  what: "attempts" | "input" | "nodeInput" | "output" | "presence" | "status" | "version";
  taskId?: string;
  text: string;
}

/** Native documents, which can be registered. */
export interface DocumentList {
  documents: unknown;
}

/** The id of the instance. */
export interface DoneValue {
  id: string;
}

/** A drain; `undo` takes the instance back into service. */
export interface DrainBody {
  undo?: boolean;
}

/** A dry run of a stored workflow; see docs/testing.md for mocks and signals. */
export interface DryRunRequest {
  input?: unknown;
  mocks?: Record<string, unknown>;
  signals?: unknown[];
  version?: number | string;
}

/** A dry run of a definition in the request. */
export interface DryRunSourceRequest {
  input?: unknown;
  mocks?: Record<string, unknown>;
  signals?: unknown[];
  version?: number | string;
  definition: Record<string, unknown> | string;
  workflow?: string;
}

/** An edge of the graph, with its id in the document if present. */
export interface Edge {
  id: string;
  source: string;
  target: string;
  condition?: string;
  onFailure?: boolean;
}

/** An email address of a user. */
export interface EmailValue {
  value: string;
  primary?: boolean;
  type?: string;
}

/** Encryption at rest of a project. */
export interface EncryptionValue {
  encryption: "destroyed" | "off" | "required";
  keys: number;
  keyCreatedAt?: string;
  wrappingKeys?: string[];
}

/** A cancellation or termination of an execution. */
export interface EndRequest {
  reason?: string;
  requestId?: string;
  compensate?: boolean | null;
}

/** The actor, time and reason of an erasure. */
export interface ErasureValue {
  at: string;
  actor: string;
  reason: string;
}

/** The body of every error response. */
export interface ErrorAnswer {
  error: ErrorValue;
}

/** Failed executions of a workflow with a class of failure. */
export interface ErrorCount {
  workflow: string;
  errorClass: string;
  count: number;
}

/** A problem to fix; `field` is a path into the request. */
export interface ErrorDetail {
  field: string;
  description: string;
  code?: string;
  line?: number;
  column?: number;
}

/** The failure of an attempt, a task or the execution. */
export interface ErrorPart {
  class: string;
  message: string;
  taskId?: string;
  state?: string;
  details?: unknown;
}

/** An error. Reasons are stable identifiers; docs/errors.md lists all of them. */
export interface ErrorValue {
  code: number;
  reason: string;
  message: string;
  details: ErrorDetail[];
}

/** A lifecycle event. Clients must ignore unknown types. */
export interface Event {
  type: string;
  sequence: number;
  executionId: string;
  workflow: string;
  taskId?: string;
  attempt?: number;
  timestamp: string;
  data: Record<string, unknown>;
}

/** Deliveries by position. */
export interface EventDeliveryList {
  deliveries: EventDeliveryValue[];
}

/** A delivery, to be settled by position and attempt before the end of its lease. */
export interface EventDeliveryValue {
  event: StoredEventValue;
  attempt: number;
  leaseUntil: string;
}

/** A selection of events; all given members must match. */
export interface EventFilterBody {
  stream?: string;
  category?: string;
  types?: string[];
}

/** Groups by name. */
export interface EventGroupList {
  groups: EventGroupValue[];
}

/** The arguments of a group; see docs/event-store.md for the defaults. */
export interface EventGroupRequest {
  filter?: EventFilterBody;
  startAfter?: number;
  leaseMs?: number;
  maxAttempts?: number;
  retryDelayMs?: number | null;
}

/** A group of consumers of events. */
export interface EventGroupValue {
  group: string;
  stream?: string;
  category?: string;
  types: string[];
  checkpoint: number;
  leaseMs: number;
  maxAttempts: number;
  retryDelayMs: number;
  inFlight: number;
  parked: number;
}

/** A settled delivery; without `error` and `park` it is acknowledged. */
export interface EventSettlementBody {
  position: number;
  attempt: number;
  error?: string;
  park?: boolean;
}

/** A part of a file; parts of one file follow each other. */
export interface EvidencePart {
  name: string;
  content: string;
}

/** Exchanges by name. */
export interface ExchangeList {
  exchanges: ExchangeValue[];
}

/** The arguments of an exchange. */
export interface ExchangeRequest {
  type?: "direct" | "fanout" | "headers" | "topic";
  alternate?: string;
}

/** An exchange. */
export interface ExchangeValue {
  exchange: string;
  type: string;
  alternate?: string;
}

/** A start of the workflow in the path, with waiting for its end. */
export interface ExecuteRequest {
  input?: Record<string, unknown>;
  requestId?: string;
  version?: number | string;
  labels?: Record<string, string>;
  timeoutMs?: number;
}

/** The committed state of an execution. */
export interface ExecutionAnswer {
  executionId: string;
  workflow: string;
  workflowName: string;
  version: number;
  format?: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  startedAt?: string;
  endedAt?: string;
  durationMs?: number;
  lastSequence?: number;
  requestId?: string;
  error?: FailureValue;
  archived?: boolean;
  search: Record<string, unknown>;
  input: unknown;
  output?: unknown;
  tasks: Record<string, TaskState>;
  signals: SignalValue[];
  parent?: ParentTask;
  continuedFrom?: string;
  continuedAs?: string;
  firstRun?: string;
  compensation?: "compensated" | "compensating" | "failed";
  origin?: Origin;
  breakpoints?: Breakpoints;
  hold?: Hold;
  erased?: ErasureValue;
  variables?: Record<string, unknown>;
}

/** Executions, newest first; `warnings` has names of the filter that no execution has. */
export interface ExecutionList {
  executions: ExecutionSummary[];
  nextPageToken: string;
  warnings?: string[];
}

/** An execution as listed. */
export interface ExecutionSummary {
  executionId: string;
  workflow: string;
  workflowName: string;
  version: number;
  format?: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  startedAt?: string;
  endedAt?: string;
  durationMs?: number;
  lastSequence?: number;
  requestId?: string;
  error?: FailureValue;
  archived?: boolean;
  search?: Record<string, unknown>;
}

/** A definition; without a question its steps are explained. */
export interface ExplainRequest {
  source: string;
  question?: string;
  provider?: string;
}

/** The causes for which an execution, or one task of it, waits: the innermost first. `nextAt` is the due time of the next timer, `endsBy` the time of the execution's timeout. */
export interface Explanation {
  executionId: string;
  workflow: string;
  version: number;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  at: string;
  findings: Finding[];
  counts: Record<string, number>;
  nextAt?: string;
  endsBy?: string;
  truncated: boolean;
}

/** The failure of an attempt, a node or the execution. */
export interface Failure {
  class: string;
  message: string;
  taskId?: string;
  state?: string;
}

/** The failure of a run or a task; `state` is the state of its state machine. */
export interface FailureValue {
  class: string;
  message: string;
  taskId?: string;
  state?: string;
  details?: unknown;
}

/** A key of the configuration of a module type. */
export interface FieldForm {
  key: string;
  label: string;
  type: string;
  description: string;
  required: boolean;
  defaultValue: unknown;
  options: string[];
  sensitive: boolean;
  refers: string;
}

/** A file beside the document: its text, or its bytes in base64. */
export interface FileBody {
  text?: string;
  base64?: string;
}

/** The newest versions of a page of files. */
export interface FileList {
  files: FileValue[];
  nextPageToken: string;
}

/** A version of a file. */
export interface FileValue {
  path: string;
  version: number;
  sizeBytes: number;
  digest: string;
  mediaType: string;
  createdAt: string;
  createdBy: string;
}

/** A cause, of a task or of the execution; `until` is the time at which it ends by itself. `becauseOf` names the tasks concerned, `details` holds the values in the text. */
export interface Finding {
  cause: Cause;
  taskId?: string;
  text: string;
  remedy: string;
  since?: string;
  until?: string;
  becauseOf?: string[];
  details: Record<string, unknown>;
}

/** The reasons why the messages of a queue are not processed. */
export interface FindingList {
  findings: FindingValue[];
}

/** A reason why messages are not processed. */
export interface FindingValue {
  cause: string;
  explanation: string;
  remedy: string;
}

/** A manual firing of a trigger. */
export interface FireRequest {
  input?: unknown;
  requestId?: string;
}

/** The started execution; `created` is false if it already existed. */
export interface FiredValue {
  executionId: string;
  created: boolean;
}

/** The root nodes, and the successors of each node. */
export interface Forest {
  roots: string[];
  adjacencyList: Record<string, NodeRelationship>;
}

/** A prompt in English; `source` is a definition to change. With `app`, the name of an application, the draft is its document. */
export interface GenerateRequest {
  prompt: string;
  source?: string;
  provider?: string;
  app?: string;
}

/** A draft; `questions` are what the prompt leaves open, `rehearsal` the status of its run. */
export interface Generated {
  source: string;
  valid: boolean;
  problems: ProblemValue[];
  questions: string[];
  rehearsal: string;
  rounds: number;
  provider: string;
  model: string;
  passedOver: string[];
  usage: TokenUsage;
  note: string;
}

/** A role on a level of the hierarchy; `levelId` is absent for the whole installation. */
export interface GrantValue {
  level: "company" | "installation" | "organization" | "project";
  levelId?: string;
  role: string;
}

/** The data for scheduling the graph. */
export interface GraphExecution {
  branchPoints: string[];
  leafNodes: string[];
  convergencePoints: string[];
  parallelExecutionGroups: string[][];
}

/** A node of the graph; `type` is the type in its document or the referenced task. */
export interface GraphNode {
  id: string;
  successors: string[];
  dependencies: string[];
  name: string;
  type: string;
}

/** A path from a root to a leaf. */
export interface GraphPath {
  nodes: string[];
}

/** Executions, newest first, and all of their tasks in the order of the newest version. `tasksCapped` is true if there are more tasks than are listed. */
export interface GridAnswer {
  workflow: string;
  version: number;
  tasks: string[];
  tasksCapped: boolean;
  executions: GridColumn[];
}

/** A task in an execution; `durationMs` is present once it has ended. */
export interface GridCell {
  status: "canceled" | "failed" | "pending" | "running" | "skipped" | "success";
  attempts: number;
  durationMs?: number;
}

/** An execution with its tasks by id; those that its version does not have are left out. */
export interface GridColumn {
  executionId: string;
  version: number;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  startedAt?: string;
  durationMs?: number;
  tasks: Record<string, GridCell>;
}

/** A sign of life. */
export interface HeartbeatBody {
  status?: "DEGRADED" | "HEALTHY" | "UNHEALTHY";
}

/** Events by sequence. `nextAfter` is 0 at the current end of the history. */
export interface History {
  events: Event[];
  nextAfter: number;
  ended: boolean;
}

/** The cause that an execution is queued, by the start policy of its workflow. */
export interface Hold {
  reason: "debounce" | "delay" | "turn";
  until?: string;
  key?: string;
}

/** Webhook URLs of the waiting tasks of an execution. */
export interface HookList {
  hooks: HookValue[];
}

/** The webhook URL of a waiting task. */
export interface HookValue {
  taskId: string;
  url: string;
}

/** A transport of the hub. */
export interface HubTransport {
  transport: string;
  transferFormats: string[];
}

/** Identity providers of a company, sorted by name. */
export interface IdentityProviderList {
  providers: IdentityProviderValue[];
}

/** An identity provider. */
export interface IdentityProviderRequest {
  name: string;
  kind?: "oidc" | "saml";
  disabled?: boolean;
  issuer: string;
  clientId: string;
  clientSecret?: string;
  scopes?: string[];
  rules?: RoleRule[];
  ssoUrl?: string;
  sloUrl?: string;
  certificates?: string[];
  linkByEmail?: boolean;
  hook?: string;
}

/** The claims of a user. */
export interface IdentityProviderTest {
  claims?: Record<string, unknown>;
}

/** An identity provider without its secret; the `ETag` header is for `If-Match`. */
export interface IdentityProviderValue {
  id: string;
  companyId: string;
  name: string;
  kind: string;
  disabled: boolean;
  issuer: string;
  clientId: string;
  scopes: string[];
  rules: RuleValue[];
  ssoUrl: string;
  sloUrl: string;
  certificates: string[];
  linkByEmail: boolean;
  hook: string;
  hasSecret: boolean;
  createdAt: string;
  etag: string;
}

/** A plugin of the catalogue. */
export interface InstallBody {
  name: string;
  version?: string;
  configuration?: Record<string, unknown>;
  accepted?: string[];
  allProjects?: boolean;
}

/** An instantiation of a template. */
export interface InstantiateRequest {
  reason?: string;
  requestId?: string;
  name: string;
  parameters?: Record<string, unknown>;
  version?: number;
  dryRun?: boolean;
}

/** The YAML of an instantiated template, and the applied resources. */
export interface InstantiatedAnswer {
  resources: AppliedResource[];
  warnings?: ProblemValue[];
  source: string;
}

/** A question about an execution; without one, why it waits or failed. */
export interface InvestigateRequest {
  question?: string;
  provider?: string;
}

/** Open invitations of a level. */
export interface InvitationList {
  invitations: InvitationValue[];
}

/** An invitation to register with a role. */
export interface InvitationValue {
  id: string;
  email: string;
  grant: GrantValue;
  createdAt: string;
  expiresAt: string;
}

/** An invitation to register with a role. */
export interface InviteRequest {
  email: string;
  role: "viewer" | "editor" | "admin" | "owner" | "worker";
}

/** A slow or failed call; `code` is that of gRPC. */
export interface KeptCall {
  at: string;
  service: string;
  instanceId: string;
  method: string;
  code: string;
  durationMs: number;
  namespace?: string;
  executionId?: string;
  traceId?: string;
  position: number;
}

/** Calls, newest first. */
export interface KeptCallList {
  calls: KeptCall[];
  nextPageToken?: string;
}

/** A line of the log of a service. */
export interface KeptLog {
  at: string;
  level: string;
  service: string;
  instanceId: string;
  event: string;
  namespace?: string;
  executionId?: string;
  traceId?: string;
  fields: unknown;
  position: number;
}

/** Log records, newest first; after a position the oldest first. `notKeptSince` is there while the store of signals refuses them, so that records are missing. */
export interface KeptLogList {
  logs: KeptLog[];
  nextPageToken?: string;
  notKeptSince?: string;
}

/** A JSON Web Key Set (RFC 7517) with the public keys of access tokens. */
export interface KeySetAnswer {
  keys: Record<string, unknown>[];
}

/** A signal to all executions that wait for it with a key. */
export interface KeyedSignalRequest {
  name: string;
  payload?: unknown;
  requestId?: string;
  key: string;
  ttlMs?: number;
}

/** The executions that waited for the signal; `sequence` is 0 for one that has ended. A kept signal has none yet; it is dropped at `expiresAt`. */
export interface KeyedSignaled {
  executions: Signaled[];
  expiresAt?: string;
}

/** Labels, sorted by name. */
export interface LabelList {
  labels: LabelValue[];
}

/** The target of a label. */
export interface LabelRequest {
  reason?: string;
  requestId?: string;
  version: number | string;
}

/** A label of a version; `previousVersion` is its previous target. */
export interface LabelValue {
  label: string;
  version: number;
  previousVersion?: number;
  movedAt: string;
  movedBy?: string;
}

/** Latencies of the last 1,000 samples; `count` and `totalMs` are of all. */
export interface LatencyValue {
  count: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  totalMs: number;
}

/** The expected duration of one kind of task at a worker, from its number of `results`. `used` is true if tasks go first to the worker with the shortest one, false if they go to workers in turn; `reason` says why. */
export interface LearnedRoutingValue {
  queue: string;
  taskType: string;
  requires?: string;
  expectedMs: number;
  results: number;
  used: boolean;
  reason: string;
}

/** The number of executions whose dead letters were discarded or put back. */
export interface LettersChanged {
  changed: number;
}

/** Failed executions with all their dead letters. */
export interface LettersRequest {
  executionIds: string[];
  reason?: string;
}

/** The change is stored; `unreachable` orchestrators apply it within a second. */
export interface LimitAnswer {
  unreachable: string[];
}

/** Changes, newest first. */
export interface LimitChangeList {
  changes: LimitChangeValue[];
}

/** A change of a limit or of dispatch, with its actor and reason. */
export interface LimitChangeValue {
  number: number;
  at?: string;
  action: string;
  subject: string;
  actor: string;
  reason: string;
}

/** The result of a deletion; false if there was no such limit. */
export interface LimitDeleted {
  deleted: boolean;
  unreachable: string[];
}

/** Limits, their usage and stops; `unreachable` orchestrators did not respond. */
export interface LimitList {
  limits: LimitValue[];
  uses: LimitUseValue[];
  stops: StopValue[];
  unreachable: string[];
}

/** A limit. It replaces an earlier one and the numbers of a definition. */
export interface LimitRequest {
  kind: "namespace" | "workflow" | "task_type" | "node" | "upstream" | "queue";
  subject?: string;
  concurrency?: number;
  rate?: number;
  burst?: number;
  weight?: number;
  maxSize?: number;
  retries?: number;
  reason?: string;
}

/** The usage of a limit, per value of its key. */
export interface LimitUseValue {
  kind: string;
  subject: string;
  key: string;
  inUse: number;
  waiting: number;
  concurrency: number;
  rate: number;
}

/** A configured limit; 0 means no limit. */
export interface LimitValue {
  kind: string;
  subject: string;
  concurrency: number;
  rate: number;
  burst: number;
  weight: number;
  maxSize: number;
  retries: number;
  actor: string;
  reason: string;
  updatedAt?: string;
}

/** Upper bounds of one agent; 0 is unlimited. */
export interface LimitsBody {
  cpu?: number;
  memoryBytes?: number;
  pids?: number;
  files?: number;
  diskBytes?: number;
}

/** Upper bounds of one agent; 0 is unlimited. */
export interface LimitsValue {
  cpu: number;
  memoryBytes: number;
  pids: number;
  files: number;
  diskBytes: number;
}

/** Keys, newest first. */
export interface LinkKeyList {
  keys: LinkKeyValue[];
}

/** The new key, and the number of revoked older keys. */
export interface LinkKeyRotated {
  key: LinkKeyValue;
  revoked: number;
}

/** A signing key of links; without `goodUntil` it is the newest. */
export interface LinkKeyValue {
  id: number;
  createdAt: string;
  actor: string;
  reason: string;
  goodUntil?: string;
}

/** A link for deciding an approval. */
export interface LinkRequest {
  by: string;
  decision?: "any" | "approve" | "reject";
  validMs?: number;
}

/** The answer of a list after a change, or the error of reading it. */
export interface ListSnapshot {
  topic: string;
  at: string;
  value?: Record<string, unknown>;
  error?: Record<string, unknown>;
}

/** The snapshot of a stream, and the events after it. */
export interface LoadedStream {
  snapshot?: SnapshotValue;
  events: StoredEventValue[];
  nextVersion: number;
}

/** Records of a log, oldest first. */
export interface LogList {
  records: LogValue[];
}

/** A record of the log of an application. */
export interface LogValue {
  at?: string;
  level: string;
  module: string;
  message: string;
  release: number;
  fields: unknown;
}

/** Providers that a company offers, sorted by name. */
export interface LoginProviderList {
  providers: LoginProviderValue[];
}

/** A provider that a company offers. */
export interface LoginProviderValue {
  id: string;
  name: string;
  kind: string;
}

/** A login. */
export interface LoginRequest {
  email: string;
  password: string;
  cookie?: boolean;
}

/** The page at which the identity provider ends its own session. */
export interface LogoutAnswer {
  providerLogoutUrl: string;
}

/** The end of the caller's session. */
export interface LogoutRequest {
  allSessions?: boolean;
}

/** A login of the command by a browser of the same machine (RFC 8252). */
export interface LoopbackApproval {
  clientId: string;
  redirectUri: string;
  codeChallenge: string;
}

/** The code with which the command logs in, within a minute and once. */
export interface LoopbackCode {
  code: string;
}

/** The code that the browser brought, and the verifier that the command kept. */
export interface LoopbackRequest {
  clientId: string;
  redirectUri: string;
  code: string;
  codeVerifier: string;
}

/** Progress of a map in items; `total` are known. */
export interface MapProgress {
  total: number;
  running: number;
  completed: number;
  failed: number;
}

/** A task; `type` is empty for a node of the engine, such as a wait or a map. */
export interface MapTask {
  id: string;
  type: string;
  service?: string;
}

/** A workflow; `edges` are pairs of places in `tasks`. `tasksCapped` if there are more. */
export interface MapWorkflow {
  workflow: string;
  title?: string;
  version: number;
  tasks: MapTask[];
  edges: number[][];
  services: string[];
  tasksCapped: boolean;
  labels: Record<string, string>;
}

/** The caller. `namespaces` are its permissions by namespace, `everywhere` those in all. */
export interface MeAnswer {
  id: string;
  kind: string;
  name: string;
  everywhere: string[];
  namespaces: Record<string, string[]>;
  user?: UserValue;
}

/** Users with a role on the level or above it, sorted by email address. */
export interface MemberList {
  members: MemberValue[];
  nextPageToken: string;
}

/** A user with a role; `level` is the level on which the role was given. */
export interface MemberValue {
  user: UserValue;
  role: string;
  level: "company" | "installation" | "organization" | "project";
}

/** A message: JSON in `body`, or other bytes in `bodyBase64`. `{"$payload": {"digest", "sizeBytes"}}` as `body` refers to a stored value. */
export interface MessageBody {
  body?: unknown;
  bodyBase64?: string;
  contentType?: string;
  id?: string;
  routingKey?: string;
  headers?: Record<string, string | number | boolean>;
  priority?: number;
  ttlMs?: number;
  delayMs?: number;
  correlationId?: string;
  replyTo?: string;
}

/** Messages, oldest first; `nextSequence` is 0 after the last. */
export interface MessageList {
  messages: MessageValue[];
  nextSequence?: number;
}

/** The redelivery of failed messages. */
export interface MessageRetryBody {
  maxAttempts?: number;
  initialDelayMs?: number | null;
  factor?: number;
  maxDelayMs?: number;
}

/** A message: JSON in `body`, or other bytes in `bodyBase64`. `{"$payload": {"digest", "sizeBytes"}}` is a body that is stored apart. */
export interface MessageValue {
  id: string;
  sequence: number;
  routingKey: string;
  exchange: string;
  contentType: string;
  publishedAt: string;
  priority: number;
  headers: Record<string, unknown>;
  body?: unknown;
  bodyBase64?: string;
  correlationId?: string;
  replyTo?: string;
  death?: DeathValue;
  attempt?: number;
  receipt?: string;
  visibleUntil?: string;
}

/** The kind of a resource, its address and its times. */
export interface MetaValue {
  resourceType: string;
  created: string;
  lastModified: string;
  location: string;
}

/** Use per hour, newest first. */
export interface MeterList {
  hours: MeteredHourValue[];
  nextPageToken?: string;
}

/** The use in an hour. */
export interface MeteredHourValue {
  hour: string;
  used: MeteredValue;
}

/** Metered use; counts of an hour only grow. */
export interface MeteredValue {
  executions: number;
  tasks: number;
  tokens: number;
  bytes: number;
  agentSeconds: number;
}

/** A threshold of a metric of the namespace. */
export interface MetricRuleValue {
  metric: "dead_letters" | "executions" | "queue_depth";
  above: number;
  queue?: string;
  filter?: string;
}

/** The points of one value of the label. */
export interface MetricSeries {
  group: string;
  points: SeriesPointValue[];
}

/** Series, the largest first. Steps without a value are left out. */
export interface MetricSeriesList {
  stepS: number;
  series: MetricSeries[];
}

/** A module type as builders show it. */
export interface ModuleForm {
  type: string;
  label: string;
  category: string;
  description: string;
  inputs: PortForm[];
  outputs: PortForm[];
  configFields: FieldForm[];
  defaultConfig: Record<string, unknown>;
  jsonSchema: Record<string, unknown>;
}

/** A running execution, and the reasons that it cannot continue under the other version. */
export interface MoveValue {
  executionId: string;
  version: number;
  movable: boolean;
  reasons: string[];
}

/** A failed delivery. */
export interface NackBody {
  receipt: string;
  delayMs?: number | null;
  reject?: boolean;
  error?: string;
}

/** The answer to a negotiation of SignalR. */
export interface Negotiated {
  connectionId: string;
  availableTransports: HubTransport[];
  negotiateVersion?: number;
  connectionToken?: string;
}

/** An event; a repeated `id` stores nothing. */
export interface NewEventBody {
  type: string;
  data?: unknown;
  metadata?: Record<string, unknown>;
  id?: string;
}

/** The outcome of one node. `outputFrom` is the source of its output: a mock, the executor (`run`), its schema, the members that templates read (`use`), or none. */
export interface Node {
  id: string;
  kind: string;
  status: string;
  attempts: number;
  input?: unknown;
  output?: unknown;
  outputFrom?: "mock" | "none" | "run" | "schema" | "use";
  error?: Failure;
  becauseOf?: string;
  startedMs?: number;
  endedMs?: number;
}

/** A node that has begun or ended. */
export interface NodeAt {
  status: "canceled" | "failed" | "pending" | "running" | "skipped" | "success";
  attempt: number;
  scheduledAt?: string;
  startedAt?: string;
  endedAt?: string;
  dueAt?: string;
  workerId?: string;
  becauseOf?: string;
  error?: ErrorPart;
}

/** An ended attempt. */
export interface NodeAttempt {
  startTime: string;
  endTime?: string;
  status: "completed" | "failed" | "running";
  output?: unknown;
  error?: NodeError;
}

/** A task of one or both executions; `differs` lists the differing aspects. */
export interface NodeComparison {
  id: string;
  left?: NodeSide;
  right?: NodeSide;
  differs: ("attempts" | "input" | "nodeInput" | "output" | "presence" | "status" | "version")[];
  input?: Difference[];
  output?: Difference[];
}

/** A task over all executions: `map[]/a` stands for the items of a map. `criticalMs` is its time on critical paths, `share` its part of the time of all executions, `criticalIn` the number of executions with it on the critical path, `reason` its largest cost. */
export interface NodeCost {
  id: string;
  rank: number;
  runs: number;
  failed: number;
  skipped: number;
  retries: number;
  run: Percentiles;
  wait: Percentiles;
  criticalMs: number;
  criticalIn: number;
  share: number;
  reason: "child" | "dependency" | "engine" | "handler" | "items" | "parallelism" | "pause" | "people" | "retry" | "signal" | "start" | "worker" | "run";
  text: string;
}

/** The failure of a node or an attempt; `code` is the failure class, `stack` the traceback of the handler, `details` what else is known, such as status and body of an HTTP answer. */
export interface NodeError {
  message: string;
  code?: string;
  stack?: string;
  details?: Record<string, unknown>;
}

/** A node of an execution. */
export interface NodeExecution {
  id: string;
  nodeId: string;
  workflowExecutionId: string;
  status: "completed" | "failed" | "pending" | "running" | "skipped";
  startTime?: string;
  endTime?: string;
  input?: unknown;
  output?: unknown;
  error?: NodeError;
  attempts: NodeExecutionAttempt[];
  metadata: unknown;
}

/** An ended or running attempt. */
export interface NodeExecutionAttempt {
  startTime: string;
  endTime?: string;
  status: "completed" | "failed" | "running";
  output?: unknown;
  error?: NodeError;
  attemptNumber: number;
}

/** The result of a node of graph JSON; `retryCount` is the number of attempts less one. */
export interface NodeOutcome {
  status: "canceled" | "completed" | "failed" | "pending" | "running" | "skipped";
  startTime?: string;
  endTime?: string;
  output?: unknown;
  error?: FailureValue;
  retryCount: number;
}

/** All nodes of an execution, in definition order; `truncated` if nodes of items, attempts or inputs are omitted. */
export interface NodeRecords {
  executionId: string;
  nodes: NodeExecution[];
  nodeResults: Record<string, NodeResult>;
  truncated: boolean;
}

/** A node and its neighbours. */
export interface NodeRelationship {
  id: string;
  successors: string[];
  dependencies: string[];
}

/** A node that was not skipped, with the number of its retries. */
export interface NodeResult {
  status: "completed" | "failed" | "pending" | "running" | "skipped";
  startTime?: string;
  endTime?: string;
  output?: unknown;
  error?: NodeError;
  retryCount: number;
  attempts: NodeAttempt[];
}

/** A task in one of the two executions. */
export interface NodeSide {
  status: "canceled" | "failed" | "pending" | "running" | "skipped" | "success";
  attempts: number;
  durationMs?: number;
  error?: ErrorPart;
}

/** Notifications, newest first. */
export interface NotificationList {
  notifications: NotificationValue[];
  nextPageToken: string;
}

/** A notification and the state of its delivery. */
export interface NotificationValue {
  id: string;
  eventId: string;
  type: string;
  status: "counted" | "dead" | "delivered" | "pending";
  attempts: number;
  httpStatus: number;
  lastError: string;
  createdAt: string;
  lastAttemptAt?: string;
  nextAttemptAt?: string;
}

/** An example input of an operation with its output. */
export interface OperationExample {
  input: unknown;
  parameters: unknown;
  output: unknown;
}

/** All operations of pipelines. */
export interface OperationList {
  operations: OperationValue[];
}

/** An operation of transform pipelines; `parameters` is a JSON Schema. */
export interface OperationValue {
  name: string;
  category: string;
  summary: string;
  parameters: Record<string, unknown>;
  example: OperationExample;
}

/** Proposals, the largest gain first, and the definition with all edits. `verified` is true if there are replays and the output and status of all are the same. */
export interface Optimization {
  workflow: string;
  version: number;
  executions: number;
  proposals: Proposal[];
  replays: Replay[];
  verified: boolean;
  diff: string;
  source: string;
}

/** Organizations of a company, sorted by slug. */
export interface OrganizationList {
  organizations: OrganizationValue[];
  nextPageToken: string;
}

/** An organization of a company. */
export interface OrganizationValue {
  id: string;
  slug: string;
  name: string;
  createdAt: string;
  etag: string;
  companyId: string;
}

/** The execution that this one reruns, as a whole or from some nodes. */
export interface Origin {
  executionId: string;
  fromNodes: string[];
}

/** Outcomes in the order of the messages. */
export interface OutcomeList {
  outcomes: OutcomeValue[];
}

/** The effect of one message; refused if it has a `reason`. */
export interface OutcomeValue {
  id: string;
  queues: number;
  duplicate: boolean;
  reason?: string;
  error?: string;
}

/** The page of a panel. */
export interface PageValue {
  html: string;
}

/** A page that the console shows in a sandboxed frame. */
export interface PanelValue {
  title: string;
  places: ("execution" | "workflow")[];
  reads: ("execution" | "history" | "state" | "workflow")[];
}

/** The step that started this execution; it does not wait for a detached one. */
export interface ParentStep {
  executionId: string;
  stepId: string;
  detached?: boolean;
}

/** The task that started this execution; it does not wait for a detached one. */
export interface ParentTask {
  executionId: string;
  taskId: string;
  detached?: boolean;
}

/** Parked events by position. */
export interface ParkedEventList {
  events: ParkedEventValue[];
}

/** An event that is out of attempts. */
export interface ParkedEventValue {
  event: StoredEventValue;
  attempts: number;
  error: string;
}

/** A change of the caller's password. */
export interface PasswordRequest {
  currentPassword: string;
  newPassword: string;
}

/** A path from a root to a leaf; `at` is its first task that has not ended. It is `taken` if all of it ran, `notTaken` if an edge of it cannot be taken, else `open`. */
export interface PathProgress {
  nodes: string[];
  status: "notTaken" | "open" | "taken";
  ended: number;
  at?: string;
}

/** A reference to a stored value by its content. */
export interface PayloadReferenceValue {
  digest: string;
  sizeBytes: number;
  encoding: string;
}

/** A task with a pending approval. */
export interface PendingApproval {
  executionId: string;
  workflow: string;
  task: string;
  name: string;
  askedAt: string;
  approval: ApprovalValue;
}

/** Percentiles of a duration, in milliseconds. */
export interface Percentiles {
  count: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  maxMs: number;
  totalMs: number;
}

/** Started steps in the order of the definition. */
export interface Picture {
  executionId: string;
  workflowName: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  duration: number;
  steps: PicturedStep[];
}

/** A step of the visualization. */
export interface PicturedStep {
  id: string;
  name: string;
  status: "canceled" | "failed" | "pending" | "running" | "skipped" | "success";
  attempts: number;
  duration?: number;
  dependencies: string[];
}

/** Whether upgrades are refused. */
export interface PinBody {
  pinned: boolean;
  allProjects?: boolean;
}

/** What a company may use in a calendar month of UTC; 0 or a missing limit is unlimited. */
export interface PlanRequest {
  name?: string;
  executions?: number;
  tasks?: number;
  tokens?: number;
  stripeCustomer?: string;
}

/** A planned node; `body` has the nodes of a map, a group or a state machine. */
export interface PlanStep {
  id: string;
  kind: string;
  dependsOn: string[];
  type?: string;
  task?: string;
  timeoutMs?: number;
  maxAttempts?: number;
  queue?: string;
  critical?: boolean;
  branches?: string[];
  body?: PlanStep[];
}

/** The limits of a month, and the customer that is billed. */
export interface PlanValue {
  name: string;
  executions: number;
  tasks: number;
  tokens: number;
  stripeCustomer: string;
}

/** Plugins by name. */
export interface PluginList {
  plugins: PluginValue[];
}

/** A plugin of the namespace. */
export interface PluginValue {
  name: string;
  version: string;
  kind: "connector" | "format" | "login" | "module-type" | "panel" | "task" | "transform";
  summary: string;
  state: "failed" | "ready" | "removing" | "starting" | "went_back";
  problem?: string;
  taskTypes: string[];
  permissions: string[];
  configuration: unknown;
  configurationSchema: unknown;
  digest: string;
  pinned: boolean;
  wanted: number;
  ready: number;
  changedAt: string;
  panel?: PanelValue;
  allProjects: boolean;
}

/** Executions that started in a step, with the percentiles of their durations. */
export interface PointValue {
  at: string;
  values: Record<string, string>;
  count: number;
  p50Ms?: number;
  p95Ms?: number;
  p99Ms?: number;
}

/** A policy of one spec. */
export interface PolicyBody {
  spec: string;
  strategy: "auto" | "fixed" | "performance_based" | "workload_based";
  min?: number;
  max?: number;
  waitTargetMs?: number;
  utilizationPercent?: number;
  upCooldownMs?: number;
  downCooldownMs?: number;
  windowMs?: number;
  idleAfterMs?: number;
  gauge?: string;
  gaugeTarget?: number;
  schedule?: ScheduledMinimumBody[];
}

/** Policies by name. */
export interface PolicyList {
  policies: ScalingPolicyValue[];
  owners: Record<string, string>;
}

/** Attempts and circuit breaker; 0 is the default. */
export interface PolicyValue {
  maxAttempts?: number;
  initialDelayMs?: number;
  maxDelayMs?: number;
  concurrency?: number;
  breakerFailures?: number;
  breakerOpenMs?: number;
}

/** A kind of service that a module type needs or offers. */
export interface PortForm {
  name: string;
  type: string;
  key: string;
  optional: boolean;
}

/** A position in a stream; its beginning by default. */
export interface PositionBody {
  sequence?: number;
  at?: string;
  latest?: boolean;
}

/** Events by position; `end` is true if no further one is stored. */
export interface PositionedEventList {
  events: StoredEventValue[];
  nextAfter: number;
  end: boolean;
}

/** The number of matching executions, and the first of them. */
export interface PreviewAnswer {
  count: number;
  executionIds: string[];
}

/** A problem of a definition, and its place. `broken` is the workflow that the change of a task would break. */
export interface ProblemValue {
  code: string;
  severity: "error" | "warning";
  message: string;
  path: string;
  line?: number;
  column?: number;
  broken?: BrokenWorkflow;
}

/** Resources of the process that serves the request, as in its `/metrics`. */
export interface ProcessValue {
  memoryBytes: number;
  cpuSeconds: number;
  openFiles: number;
}

/** Projects of an organization, sorted by slug. */
export interface ProjectList {
  projects: ProjectValue[];
  nextPageToken: string;
}

/** The quota of a project, its use now, and what a role on the project only may set at most. */
export interface ProjectQuota {
  quota: QuotaValue;
  used: QuotaValue;
  ceiling: QuotaValue;
}

/** A project of an organization; its workflows and executions are in its namespace. */
export interface ProjectValue {
  id: string;
  slug: string;
  name: string;
  createdAt: string;
  etag: string;
  companyId: string;
  organizationId: string;
  namespace: string;
}

/** Projections by name. */
export interface ProjectionList {
  projections: ProjectionValue[];
}

/** A projection of the selected events. */
export interface ProjectionRequest {
  filter?: EventFilterBody;
}

/** The state of a key; without a `state` the key is deleted. */
export interface ProjectionStateBody {
  key: string;
  state?: unknown;
}

/** States by key, as of `checkpoint`. */
export interface ProjectionStates {
  states: Record<string, unknown>;
  nextPageToken: string;
  checkpoint: number;
}

/** A projection; the members of the shadow are those of a rebuild. */
export interface ProjectionValue {
  projection: string;
  stream?: string;
  category?: string;
  types: string[];
  generation: number;
  checkpoint: number;
  head: number;
  shadowGeneration: number;
  shadowCheckpoint: number;
}

/** A change of a task. `gainMs` is the estimated part of an execution's duration that it saves; 0 is a gain in reliability only. `edits` is false if the change is not one of the definition. */
export interface Proposal {
  kind: "cache" | "concurrency" | "parallel" | "retry" | "timeout" | "workers";
  task: string;
  text: string;
  evidence: string;
  gainMs: number;
  edits: boolean;
}

/** Providers in the order of their use. */
export interface ProviderList {
  providers: ProviderValue[];
}

/** A provider; prompts leave the installation with `remote` ones. */
export interface ProviderValue {
  name: string;
  model: string;
  remote: boolean;
  unavailable?: string;
}

/** A node as written in the newest version of a workflow. */
export interface PublicNode {
  workflow: string;
  version: number;
  node: unknown;
}

/** Public nodes, by workflow. */
export interface PublicNodes {
  nodes: PublicNode[];
  nextPageToken: string;
}

/** Messages to publish, at most 500. */
export interface PublishMessagesRequest {
  messages: MessageBody[];
  mandatory?: boolean;
}

/** An event with the attributes of CloudEvents 1.0. */
export interface PublishRequest {
  type: string;
  id?: string;
  source?: string;
  subject?: string;
  time?: string;
  data?: unknown;
  specversion?: "1.0";
  datacontenttype?: "application/json";
  extensions?: Record<string, string | number | boolean>;
}

/** The outcomes of a batch, in the order of its events. */
export interface PublishedBatch {
  events: BatchedValue[];
}

/** A published event. `triggers` counts firings; `created` is false for a repeated event. */
export interface PublishedValue {
  id: string;
  created: boolean;
  triggers: number;
}

/** A queue of messages and its content. */
export interface QueueDetails {
  queue: string;
  kind: string;
  durable: boolean;
  maxSize: number;
  maxBytes: number;
  overflow: string;
  messageTtlMs: number;
  onExpiry: string;
  maxPriority: number;
  maxAttempts: number;
  visibilityTimeoutMs: number;
  deadLetterQueue?: string;
  exclusive: boolean;
  autoDelete: boolean;
  singleActive: boolean;
  encrypt: boolean;
  depth: number;
  ready: number;
  inFlight: number;
  bytes: number;
  oldestAt?: string;
  consumers: number;
  deadLetters: number;
  priorities: Record<string, number>;
  groups: StreamGroup[];
}

/** Queues by name. */
export interface QueueDetailsList {
  queues: QueueDetails[];
  nextPageToken: string;
}

/** Queues by name and task type; `unreachable` orchestrators did not respond. */
export interface QueueList {
  queues: QueueValue[];
  unreachable: string[];
}

/** The arguments of a queue; see docs/messages.md for the defaults. */
export interface QueueRequest {
  kind?: "queue" | "stream";
  durable?: boolean;
  maxSize?: number;
  maxBytes?: number;
  overflow?: "dead_letter" | "drop_oldest" | "reject";
  messageTtlMs?: number;
  onExpiry?: "dead_letter" | "drop";
  maxPriority?: number;
  retry?: MessageRetryBody;
  visibilityTimeoutMs?: number;
  deadLetterQueue?: string;
  exclusive?: boolean;
  autoDelete?: boolean;
  singleActive?: boolean;
  encrypt?: boolean;
  schema?: unknown;
}

/** An exchange of the broker; the default one routes by the name of a queue. */
export interface QueueSinkValue {
  exchange?: string;
  routingKey?: string;
}

/** The use of a queue; rates are messages a second. */
export interface QueueUseValue {
  queue: string;
  text: string;
  published: number;
  consumed: number;
  failed: number;
  depth: number;
  consumers: number;
  users: QueueUserValue[];
  truncated: boolean;
}

/** An exchange with a binding, or a workflow that publishes or has a trigger. */
export interface QueueUserValue {
  kind: "exchange" | "publisher" | "trigger";
  name: string;
  part?: string;
}

/** Tasks of a queue and task type; ready tasks include those held back by a limit. `maxSize` is a limit of the queue. Arrivals and task durations are those of the last minute, and recommendations follow from them. 0 means none or unknown. */
export interface QueueValue {
  queue: string;
  taskType: string;
  requires?: string;
  ready: number;
  waitingForLimits: number;
  stopped: number;
  running: number;
  oldestMs: number;
  failed: number;
  freeSlots: number;
  workerSets: number;
  overflowed: boolean;
  maxSize: number;
  arrivalsPerSecond: number;
  serviceMs: number;
  recommendedSlots: number;
  recommendedSize: number;
}

/** Tasks in all queues, and slots of their workers. */
export interface QueuesValue {
  waiting: number;
  running: number;
  freeSlots: number;
  withoutWorker: number;
  oldestMs: number;
}

/** The quota of a namespace and its use. */
export interface QuotaAnswer {
  quota: AgentBounds;
  used: AgentBounds;
}

/** Upper bounds of a namespace; 0 is unlimited. */
export interface QuotaBody {
  agents?: number;
  cpu?: number;
  memoryBytes?: number;
  startsPerMinute?: number;
}

/** Upper bounds of a project; 0 or a missing one is unlimited. */
export interface QuotaRequest {
  startsPerSecond?: number;
  runningExecutions?: number;
  executionsPerDay?: number;
  definitions?: number;
  fileBytes?: number;
  apiKeys?: number;
}

/** Upper bounds, where 0 is unlimited, or the use in the same fields. */
export interface QuotaValue {
  startsPerSecond: number;
  runningExecutions: number;
  executionsPerDay: number;
  definitions: number;
  fileBytes: number;
  apiKeys: number;
}

/** Starts per minute, and the share of completed ones in those that completed or failed. */
export interface RatesValue {
  startedPerMinute: number;
  success?: number;
}

/** A change with a reason. */
export interface ReasonRequest {
  reason?: string;
  requestId?: string;
}

/** A reason of the verdict on `input` or `output`; `path` is a path in the value. */
export interface ReasonValue {
  side: string;
  verdict: "breaking" | "compatible" | "unknown";
  path: string;
  message: string;
}

/** A request for events, which are delivered again unless they are settled in time. */
export interface ReceiveEventsRequest {
  count?: number;
  waitMs?: number;
}

/** A request for messages, which are delivered again unless they are settled in time. */
export interface ReceiveMessagesRequest {
  count?: number;
  waitMs?: number;
  group?: string;
}

/** Received messages, to be settled by receipt. */
export interface ReceivedMessages {
  messages: MessageValue[];
}

/** The effect of a call: a started execution, or a resumed node of one. */
export interface ReceivedValue {
  executionId: string;
  created: boolean;
  taskId?: string;
}

/** One of the last executions of a workflow. */
export interface RecentExecution {
  executionId: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
}

/** A redrive of dead letters; all given filters must match. */
export interface RedriveMessagesRequest {
  to?: string;
  reason?: "" | "attempts" | "expired" | "max_size" | "rejected";
  fromQueue?: string;
  sequences?: number[];
  count?: number;
  rate?: number;
  sequence?: number;
}

/** The effect of a redrive; repeat it from `nextSequence` while `remaining` is true. */
export interface RedrivenValue {
  moved: number;
  kept: number;
  remaining: boolean;
  nextSequence: number;
  error?: string;
}

/** A refresh; without a token, that of the cookie is used and replaced. */
export interface RefreshRequest {
  refreshToken?: string;
}

/** A new user. */
export interface RegisterRequest {
  email: string;
  password: string;
  name?: string;
  invitation?: string;
  cookie?: boolean;
}

/** The registered version; `created` is false if the same content was already stored. */
export interface RegisteredWorkflow {
  id: string;
  version: number;
  digest: string;
  created: boolean;
  warnings?: ProblemValue[];
}

/** Releases, newest first. */
export interface ReleaseList {
  releases: ReleaseValue[];
}

/** A release, without its content. */
export interface ReleaseValue {
  release: number;
  state: "pending" | "refused" | "replaced" | "serving";
  digest: string;
  problem?: string;
  files: string[];
  environment: string[];
  warnings: string[];
  sizeBytes: number;
  createdBy: string;
  createdAt: string;
}

/** A removal; `removed` is false if there was nothing to remove. */
export interface RemovedValue {
  removed: boolean;
}

/** A definition with problems. */
export interface RepairRequest {
  source: string;
  provider?: string;
}

/** An input of the past, rehearsed with both definitions and the recorded results of tasks. */
export interface Replay {
  executionId: string;
  same: boolean;
  beforeMs: number;
  afterMs: number;
  problem?: string;
}

/** Parked events to deliver again; all without positions. */
export interface ReplayParkedRequest {
  positions?: number[];
}

/** A number of events that are delivered again. */
export interface ReplayedEvents {
  replayed: number;
}

/** A dry run. `status` is `running` if it waits for nodes without a mock (`waitingFor`). */
export interface Report {
  workflow: string;
  version: number;
  status: string;
  output?: unknown;
  error?: Failure;
  durationMs: number;
  path: string[];
  skipped: string[];
  nodes: Node[];
  calls: Call[];
  plan: PlanStep[];
  waitingFor: string[];
  unusedMocks: string[];
}

/** The plan of a rerun, and the new execution if one was started. */
export interface Rerun {
  executionId?: string;
  rerunOf: string;
  version: number;
  nodes: RerunNode[];
  repeatedEffects: number;
}

/** The treatment of a node in a rerun. */
export interface RerunNode {
  node: string;
  type?: string;
  reused: boolean;
  reason: string;
  repeatsEffect: boolean;
}

/** A rerun of an ended execution. */
export interface RerunRequest {
  fromNodes?: string[];
  fromFailed?: boolean;
  input?: unknown;
  nodeInputs?: Record<string, unknown>;
  newestVersion?: boolean;
  dryRun?: boolean;
  reason?: string;
  requestId?: string;
}

/** Notifications by id, or all dead ones since an instant. */
export interface ResendRequest {
  ids?: string[];
  since?: string;
}

/** The number of notifications that are attempted again. */
export interface ResentValue {
  count: number;
}

/** Queues, instances by health, and the process for members of the installation. */
export interface ResourcesValue {
  queues: QueuesValue;
  instances: Record<string, number>;
  process?: ProcessValue;
}

/** The outputs of the completed tasks in one of the views. `tasks`: `tasks.<id>.output`. `steps`: `.steps.<id>`. `context`: the input's members and each output under its id. `nodes`: the input as `variables`, and `nodeResults` of started nodes. */
export interface Results {
  executionId: string;
  tasks?: Record<string, TaskOutput>;
  steps?: Record<string, unknown>;
  context?: Record<string, unknown>;
  variables?: unknown;
  nodeResults?: Record<string, NodeOutcome>;
}

/** A retention period; `own` is true if it is set for this namespace. */
export interface RetentionAnswer {
  retentionMs: number;
  own: boolean;
}

/** The retention period of the namespace. */
export interface RetentionRequest {
  retentionMs: number;
}

/** All roles. */
export interface RoleList {
  roles: RoleValue[];
}

/** The role of a member. */
export interface RoleRequest {
  role: "viewer" | "editor" | "admin" | "owner" | "worker";
}

/** Gives a role to users whose claim has a value. */
export interface RoleRule {
  claim?: string;
  equals?: string;
  role: "viewer" | "editor" | "admin" | "owner";
  level?: "company" | "organization" | "project";
  levelId?: string;
}

/** A role with its permissions. */
export interface RoleValue {
  name: string;
  permissions: string[];
}

/** The release to return to. */
export interface RollbackRequest {
  release?: number;
}

/** A second secret for an API key. */
export interface RotateApiKeyRequest {
  overlapSeconds?: number;
}

/** A rotation of the signing key of links. */
export interface RotateKeyRequest {
  revoke?: boolean;
  reason?: string;
  requestId?: string;
}

/** The time for which both secrets sign; 0 is a day. */
export interface RotateSecretRequest {
  overlapMs?: number;
}

/** A new secret, and the end of the overlap with the previous one. */
export interface RotatedSecret {
  secret: string;
  previousUntil: string;
}

/** A rule of a provider. */
export interface RuleValue {
  claim: string;
  equals: string;
  role: string;
  level: "company" | "organization" | "project";
  levelId: string;
}

/** An ended run: the outputs of its tasks, and its own output if one is defined. */
export interface RunAnswer {
  executionId: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  outputs: Record<string, unknown>;
  output?: unknown;
  tasks: Record<string, RunTask>;
  durationMs: number;
  error?: FailureValue;
}

/** The result of a task of a run. */
export interface RunTask {
  status: "canceled" | "failed" | "pending" | "running" | "skipped" | "success";
  attempts: number;
  durationMs?: number;
  error?: FailureValue;
}

/** A saved dashboard; `hours` up to now are shown at first. */
export interface SavedDashboard {
  name: string;
  title: string;
  hours: number;
  panels: DashboardPanelValue[];
  updatedAt: string;
}

/** The number of agents of a spec. */
export interface ScaleBody {
  replicas: number;
}

/** A decision of a policy, with the bounds that held its wish. */
export interface ScalingDecisionValue {
  spec: string;
  at: string;
  before: number;
  wish: number;
  count: number;
  reason: string;
  held: string[];
}

/** A scaling policy. */
export interface ScalingPolicyValue {
  policy: string;
  spec: string;
  strategy: "auto" | "fixed" | "performance_based" | "workload_based";
  min: number;
  max: number;
  waitTargetMs: number;
  utilizationPercent: number;
  upCooldownMs: number;
  downCooldownMs: number;
  windowMs: number;
  idleAfterMs: number;
  gauge: string;
  gaugeTarget: number;
  schedule: ScheduledMinimumValue[];
}

/** At least so many agents for a time from each instant of a cron expression on. */
export interface ScheduledMinimumBody {
  cron: string;
  timeZone?: string;
  durationMs: number;
  min: number;
}

/** At least so many agents for a time from each instant of a cron expression on. */
export interface ScheduledMinimumValue {
  cron: string;
  timeZone: string;
  durationMs: number;
  min: number;
}

/** An error as SCIM describes it. */
export interface ScimError {
  schemas: string[];
  status: string;
  scimType?: string;
  detail: string;
}

/** Groups that match a filter. */
export interface ScimGroupList {
  schemas: string[];
  totalResults: number;
  startIndex: number;
  itemsPerPage: number;
  Resources: ScimGroupValue[];
}

/** A group as SCIM describes it. */
export interface ScimGroupValue {
  schemas: string[];
  id: string;
  externalId?: string;
  displayName: string;
  members?: ScimMemberValue[];
  meta: MetaValue;
}

/** A member of a group. */
export interface ScimMemberValue {
  value: string;
  display: string;
}

/** The whole name of a user. */
export interface ScimNameValue {
  formatted: string;
}

/** Users that match a filter. */
export interface ScimUserList {
  schemas: string[];
  totalResults: number;
  startIndex: number;
  itemsPerPage: number;
  Resources: ScimUserValue[];
}

/** A user as SCIM describes it. */
export interface ScimUserValue {
  schemas: string[];
  id: string;
  externalId?: string;
  userName: string;
  name: ScimNameValue;
  displayName: string;
  emails: EmailValue[];
  active: boolean;
  meta: MetaValue;
}

/** Secrets by name. */
export interface SecretList {
  secrets: SecretValue[];
  nextPageToken?: string;
}

/** The value of a secret. */
export interface SecretRequest {
  value: string;
}

/** The newest version of a secret. */
export interface SecretValue {
  name: string;
  version: number;
  createdAt: string;
  createdBy: string;
}

/** A new position of a group. */
export interface SeekGroupRequest {
  group: string;
  position?: PositionBody;
}

/** Points by time; steps without executions are left out, `capped` ones were not listed. */
export interface SeriesAnswer {
  stepS: number;
  points: PointValue[];
  capped: boolean;
}

/** The value of a step that begins at a time. */
export interface SeriesPointValue {
  at: string;
  value: number;
}

/** Kept calls between two services, attempts at a worker, messages to or from a queue, or requests to an application. Without a caller they are of clients, or of calls that are not kept. */
export interface ServiceCallsValue {
  kind: "application" | "call" | "consumers" | "queue" | "worker";
  caller?: string;
  service: string;
  namespace?: string;
  calls: number;
  errors: number;
  meanMs: number;
  p95Ms: number;
}

/** Matching instances, sorted by name and id. */
export interface ServiceList {
  services: ServiceValue[];
  nextPageToken: string;
}

/** Services with their rates, and calls between services, workers, queues and applications. */
export interface ServiceMapValue {
  services: ServiceNodeValue[];
  calls: ServiceCallsValue[];
  truncated: boolean;
}

/** A service; rates are calls a second. */
export interface ServiceNodeValue {
  service: string;
  calls: number;
  errors: number;
  p95Ms: number;
}

/** An instance of a service; the same id replaces it. */
export interface ServiceRequest {
  id: string;
  name: string;
  endpoint: string;
  type?: string;
  capabilities?: string[];
  metadata?: Record<string, string>;
  version?: string;
  heartbeatIntervalMs?: number;
  check?: CheckBody | null;
}

/** An instance of a service. */
export interface ServiceValue {
  id: string;
  name: string;
  type: string;
  status: "DEGRADED" | "HEALTHY" | "OFFLINE" | "UNHEALTHY";
  endpoint: string;
  capabilities: string[];
  metadata: Record<string, string>;
  version: string;
  registeredAt: string;
  heartbeatAt: string;
  draining: boolean;
  checkProblem: string;
}

/** A new session and its user. */
export interface SessionAnswer {
  accessToken?: string;
  accessExpiresAt: string;
  refreshToken?: string;
  refreshExpiresAt: string;
  user: UserValue;
}

/** Open sessions of the caller, newest first. */
export interface SessionList {
  sessions: SessionValue[];
}

/** An open session; `provider` is the name of the identity provider of its login. */
export interface SessionValue {
  id: string;
  createdAt: string;
  lastUsedAt?: string;
  address: string;
  provider?: string;
  current: boolean;
}

/** Settlements of deliveries. */
export interface SettleEventsRequest {
  settlements: EventSettlementBody[];
}

/** Settlements of received messages by receipt, at most 500 in all. */
export interface SettleMessagesRequest {
  acks?: string[];
  nacks?: NackBody[];
  extends?: string[];
}

/** The positions of the deliveries that were settled before, or delivered again since. */
export interface SettledEvents {
  stale: number[];
}

/** Outcomes in the order of acks, nacks and extends. */
export interface SettledList {
  outcomes: SettledValue[];
}

/** The effect of one settlement; refused if it has a `reason`. */
export interface SettledValue {
  receipt?: string;
  reason?: string;
  error?: string;
}

/** One of the two executions. */
export interface Side {
  executionId: string;
  workflow: string;
  version: number;
  planDigest: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  startedAt?: string;
  durationMs: number;
  attempts: number;
  error?: ErrorPart;
}

/** A received signal. */
export interface SignalAt {
  name: string;
  payload: unknown;
  receivedAt: string;
}

/** A signal to an execution. */
export interface SignalRequest {
  name: string;
  payload?: unknown;
  requestId?: string;
}

/** A received signal. */
export interface SignalValue {
  name: string;
  payload: unknown;
  receivedAt: string;
}

/** `sequence` is the event of the signal in the history. */
export interface Signaled {
  executionId: string;
  sequence: number;
}

/** A deleted objective. */
export interface SloDeleted {
  deleted: boolean;
}

/** Stored objectives with their last computed states. */
export interface SloList {
  slos: SloValue[];
}

/** The objective of a workflow. */
export interface SloRequest {
  target: number;
  windowS?: number;
  slowerThanMs?: number;
  alertBurnRate?: number;
}

/** The state of an objective; `burnRate` 1 uses up the budget exactly in the window. */
export interface SloValue {
  workflow: string;
  target: number;
  windowS: number;
  slowerThanMs: number;
  good: number;
  bad: number;
  reached: number;
  budgetLeft: number;
  burnRateHour: number;
  burnRateNow: number;
  burnRate: number;
  alertBurnRate: number;
  burning: boolean;
  computedAt?: string;
}

/** The executions since a time beside those of the same length of time before. */
export interface SlownessExplained {
  text: string;
  differences: SlownessPart[];
  before: string;
  since: string;
  until: string;
}

/** A part of the executions: medians of completed ones, or means of commits. */
export interface SlownessPart {
  kind: "database" | "task" | "version" | "wait" | "workflow";
  name: string;
  beforeMs: number;
  afterMs: number;
  beforeCount: number;
  afterCount: number;
}

/** A state of a stream at a version. */
export interface SnapshotRequest {
  version: number;
  state: unknown;
}

/** A state of a stream at a version. */
export interface SnapshotValue {
  version: number;
  state: unknown;
  at: string;
}

/** A request: spans by start, and log records by time. */
export interface SpanList {
  traceId?: string;
  spans: SpanValue[];
  logs: KeptLog[];
  truncated: boolean;
}

/** A call, an execution, or an attempt of a task; `process` is a service or a worker. */
export interface SpanValue {
  kind: "attempt" | "call" | "execution";
  name: string;
  process: string;
  start: string;
  durationMs: number;
  code: string;
  failed: boolean;
  open: boolean;
  executionId?: string;
  node?: string;
  attempt?: number;
  waitMs?: number;
}

/** Further agents of a spec. */
export interface SpawnBody {
  spec: string;
  count?: number;
}

/** A template of agents. */
export interface SpecBody {
  command: string[];
  files?: Record<string, string>;
  environment?: Record<string, string>;
  queues?: string[];
  taskTypes?: string[];
  slots?: number;
  replicas?: number;
  limits?: LimitsBody;
  isolation?: "none" | "sandbox" | "user";
  health?: "heartbeat" | "process";
  startTimeoutMs?: number;
  drainTimeoutMs?: number;
  secrets?: string[];
  connections?: ConnectionsBody;
}

/** A template of agents. */
export interface SpecContent {
  spec: string;
  command: string[];
  files: Record<string, string>;
  environment: Record<string, string>;
  queues: string[];
  taskTypes: string[];
  slots: number;
  replicas: number;
  limits?: LimitsValue;
  isolation: "none" | "sandbox" | "user";
  health: "heartbeat" | "process";
  startTimeoutMs: number;
  drainTimeoutMs: number;
  secrets: string[];
  connections?: ConnectionsValue;
}

/** Specs by name. */
export interface SpecList {
  specs: SpecValue[];
}

/** A stored spec. */
export interface SpecValue {
  spec: SpecContent;
  version: number;
  stableVersion: number;
  wanted: number;
  ready: number;
  problem?: string;
  createdAt: string;
  changedAt: string;
  owner?: string;
}

/** A service, and the tasks that call it or run on its workers. */
export interface Spoke {
  service: string;
  tasks: string[];
}

/** A start of the workflow in the path. */
export interface StartRequest {
  input?: Record<string, unknown>;
  requestId?: string;
  version?: number | string;
  labels?: Record<string, string>;
}

/** The body of `POST /executions/start`. */
export interface StartStepsRequest {
  workflowId: string;
  context?: Record<string, unknown>;
  requestId?: string;
  version?: number | string;
  labels?: Record<string, string>;
}

/** The started execution, or the one that an earlier request with this id started. */
export interface Started {
  executionId: string;
}

/** The progress of an execution: its pinned version, each task, each listed path. `nodes` includes nodes of items in progress as `<map>[<item>]/<id>`, `maps` the progress of each map, `activePaths` the indexes in `paths` of paths that were or still may be taken. */
export interface StateAnswer {
  executionId: string;
  workflow: string;
  version: number;
  planDigest: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  lastSequence: number;
  nodes: Record<string, "canceled" | "failed" | "pending" | "running" | "skipped" | "success">;
  maps: Record<string, MapProgress>;
  paths: PathProgress[];
  activePaths: number[];
  graph: AnalysisAnswer;
}

/** An execution after event `sequence`; `lastSequence` is that of its latest event. `held` are ready nodes that a pause or a limit of the execution holds, `queued` wait for a worker, `atWorkers` are sent to one; `awaiting` are the waiting nodes by signal. `children` are the executions that nodes wait for, empty until their start. `hold` is the hold before the start of the execution. `onHold` are failed nodes that are held, `stopped` nodes at a breakpoint, `asking` nodes with an open approval, `undo` nodes to compensate. The start of a task that ends within 50 ms is recorded with its end. */
export interface StateAt {
  executionId: string;
  workflow: string;
  version: number;
  planDigest: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  sequence: number;
  lastSequence: number;
  at: string;
  event: string;
  taskId?: string;
  startedAt?: string;
  endedAt?: string;
  hold?: "debounce" | "delay" | "turn";
  variables: Variables;
  output?: unknown;
  error?: ErrorPart;
  nodes: Record<string, NodeAt>;
  counts: Record<string, number>;
  held: string[];
  queued: string[];
  atWorkers: string[];
  timers: TimerAt[];
  awaiting: Record<string, string[]>;
  children: Record<string, string>;
  asking: string[];
  onHold: string[];
  stopped: string[];
  undo: string[];
  truncated: boolean;
}

/** An error because of the state of the execution. */
export interface StateErrorAnswer {
  error: ErrorValue;
  executionId?: string;
  status?: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
}

/** Statistics since the start of each orchestrator; `unreachable` ones are not included. `templates` is present unless a single workflow is requested. */
export interface StatsAnswer {
  workflows: WorkflowStatsValue[];
  unreachable: string[];
  templates?: TemplateStatsValue;
}

/** An action on a node. */
export interface SteerRequest {
  input?: unknown;
  output?: unknown;
  reason?: string;
  requestId?: string;
}

/** The action is in the history, up to event `sequence`. */
export interface Steered {
  executionId: string;
  sequence: number;
}

/** An execution in the step-JSON shape; in lists its steps are empty. */
export interface StepExecution {
  executionId: string;
  workflowId: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  startTime: number;
  endTime?: number;
  currentSteps: string[];
  completedSteps: string[];
  failedSteps: string[];
  skippedSteps: string[];
  stepResults: Record<string, StepResult>;
  parent?: ParentStep;
  continuedFrom?: string;
  continuedAs?: string;
  firstRun?: string;
  version?: number;
  requestId?: string;
  lastSequence?: number;
  output?: unknown;
  origin?: Origin;
  compensation?: "compensated" | "compensating" | "failed";
  hold?: Hold;
  archived?: boolean;
  erased?: ErasureValue;
  context: Record<string, unknown>;
  error?: StepFailure;
}

/** Executions, newest first. */
export interface StepExecutionList {
  executions: StepExecution[];
  nextPageToken: string;
}

/** The failure of a step or a run. */
export interface StepFailure {
  class: string;
  message: string;
  stepId?: string;
  details?: unknown;
}

/** The state of a step; a running one has neither duration nor result. */
export interface StepResult {
  stepId: string;
  status: "canceled" | "failed" | "pending" | "running" | "skipped" | "success";
  attempts: number;
  duration?: number;
  result?: unknown;
  error?: StepFailure;
  startTime?: number;
  endTime?: number;
  childExecutionId?: string;
  notRetried?: string;
  held?: boolean;
  undoes?: string;
}

/** The waiting time is over; the execution continues under this id. */
export interface StillRunningAnswer {
  error: ErrorValue;
  executionId: string;
}

/** A pause or resumption of an execution. */
export interface StopRequest {
  reason?: string;
  requestId?: string;
}

/** A dispatch stop of a workflow, or of the namespace without a workflow. */
export interface StopValue {
  workflow?: string;
  reason: string;
  actor: string;
  stoppedAt?: string;
  waiting: number;
}

/** The new status of the execution. */
export interface Stopped {
  executionId: string;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
}

/** Events of a stream; `nextVersion` is 0 after the last. */
export interface StoredEventList {
  events: StoredEventValue[];
  nextVersion: number;
}

/** An event of a stream; `position` is 0 in a virtual one. */
export interface StoredEventValue {
  stream: string;
  version: number;
  position: number;
  id: string;
  type: string;
  data: unknown;
  metadata: unknown;
  at: string;
}

/** The reference of a stored value, usable in place of an input. */
export interface StoredPayload {
  "$payload": PayloadReferenceValue;
}

/** The effect of a change; `stored` is false if something later was stored before. */
export interface StoredValue {
  stored: boolean;
}

/** A group of a stream. */
export interface StreamGroup {
  group: string;
  pending: number;
  inFlight: number;
  acknowledged: number;
}

/** Streams by name. */
export interface StreamList {
  streams: StreamValue[];
  nextPageToken: string;
}

/** Bounds of a stream; 0 is unlimited. */
export interface StreamRetentionRequest {
  maxEvents?: number;
  maxAgeMs?: number;
}

/** A stream of events. */
export interface StreamValue {
  stream: string;
  version: number;
  firstVersion: number;
  snapshotVersion: number;
  createdAt: string;
  changedAt: string;
  maxEvents: number;
  maxAgeMs: number;
}

/** Durable subscriptions by name. */
export interface SubscriptionList {
  subscriptions: SubscriptionValue[];
}

/** A durable subscription: a selection of events, and a sink. */
export interface SubscriptionRequest {
  types?: string[];
  source?: string;
  filter?: string;
  description?: string;
  webhook?: WebhookSinkValue | null;
  queue?: QueueSinkValue | null;
  policy?: PolicyValue;
  template?: unknown;
  alert?: AlertRuleValue | null;
  cursor?: string;
  since?: string;
}

/** A durable subscription and its state. */
export interface SubscriptionValue {
  name: string;
  status: "active" | "disabled" | "open" | "paused";
  types: string[];
  source: string;
  filter: string;
  description: string;
  webhook?: WebhookSinkValue;
  queue?: QueueSinkValue;
  policy: PolicyValue;
  template?: unknown;
  alert?: AlertRuleValue;
  createdAt: string;
  pending: number;
  delivered: number;
  dead: number;
  dropped: number;
  failures: number;
  failingSince?: string;
  openUntil?: string;
  lastError?: string;
  previousSecretUntil?: string;
  cursor: string;
  created?: boolean;
  secret?: string;
}

/** The shadow that replaces the states. */
export interface SwapProjectionRequest {
  generation: number;
}

/** A version of a reusable task. */
export interface TaskAnswer {
  name: string;
  version: number;
  digest: string;
  type: string;
  createdAt: string;
  labels: Record<string, string>;
  namespace: string;
  visibility: "namespace" | "private" | "public";
  definition?: unknown;
}

/** Newest versions, sorted by name. */
export interface TaskList {
  tasks: TaskAnswer[];
  nextPageToken: string;
}

/** The value of `tasks.<id>` in a template. */
export interface TaskOutput {
  output: unknown;
}

/** The state of a task. */
export interface TaskState {
  status: "canceled" | "failed" | "pending" | "running" | "skipped" | "success";
  attempts: number;
  durationMs?: number;
  error?: FailureValue;
  id: string;
  name: string;
  type?: string;
  dependencies: string[];
  scheduledAt?: string;
  startedAt?: string;
  endedAt?: string;
  dueAt?: string;
  workerId?: string;
  output?: unknown;
  metadata?: unknown;
  url?: string;
  notRetried?: string;
  held?: boolean;
  undoes?: string;
  childExecutionId?: string;
  childWorkflow?: string;
  childVersion?: number;
  approval?: ApprovalValue;
}

/** Use of a task by the first 50 workflows of the namespace that refer to it. Counts are those of the newest versions; `successRate` and `medianMs` are absent before the first run. `medianMs` is the median of the medians of the nodes, weighted by their runs. */
export interface TaskStatistics {
  workflows: number;
  completed: number;
  failed: number;
  retried: number;
  successRate?: number;
  medianMs?: number;
}

/** Statistics of a task. */
export interface TaskStatsValue {
  id: string;
  completed: number;
  failed: number;
  retried: number;
  latency: LatencyValue;
}

/** A task and its attempts; `releasedBy` is the dependency that ended last. `queuedMs` is the end of its dependencies, `waits` are its waiting periods, `slackMs` the delay that would not have delayed the execution. */
export interface TaskTrace {
  id: string;
  name: string;
  type: string;
  status: "canceled" | "failed" | "pending" | "running" | "skipped" | "success";
  dependencies: string[];
  releasedBy?: string;
  order?: number;
  queuedMs?: number;
  readyMs?: number;
  startedMs?: number;
  endedMs?: number;
  waitMs: number;
  runMs: number;
  slackMs?: number;
  critical: boolean;
  waits: WaitPart[];
  metadata?: unknown;
  attempts: AttemptTrace[];
}

/** A built-in task type: `native` is the `type` of a WorkflowTask, `block` its parameters. */
export interface TaskTypeValue {
  name: string;
  summary: string;
  category: string;
  effect: string;
  native: string;
  block: string;
  calls: string;
  timeoutMs: number;
  takesSecrets: boolean;
  parameters: unknown;
  output: unknown;
}

/** The built-in task types, by name. */
export interface TaskTypes {
  taskTypes: TaskTypeValue[];
}

/** Versions in use that refer to the task, in all namespaces. */
export interface TaskUsageList {
  workflows: WorkflowReference[];
  nextPageToken?: string;
}

/** Versions, newest first. */
export interface TaskVersionList {
  versions: TaskAnswer[];
  nextPageToken: string;
}

/** A template; `parameters` is a JSON Schema. Bundled templates have the version 0. */
export interface TemplateAnswer {
  name: string;
  version: number;
  bundled: boolean;
  digest: string;
  description: string;
  parameters: unknown;
  createdAt?: string;
  labels: Record<string, string>;
  definition?: unknown;
}

/** Newest versions, sorted by name. */
export interface TemplateList {
  templates: TemplateAnswer[];
  nextPageToken: string;
}

/** Numbers of all workflows, of those made from templates with their share, and per template. */
export interface TemplateStatsValue {
  workflows: number;
  fromTemplates: number;
  share: number;
  templates: Record<string, number>;
}

/** The nodes that ran and the branches that were taken, of all; `missed` names the others. */
export interface TestCoverage {
  percent: number;
  nodes: number;
  nodesRun: number;
  branches: number;
  branchesTaken: number;
  missed: string[];
}

/** A problem of the text of the tests, because of which none of them ran. */
export interface TestProblem {
  code: string;
  message: string;
  path: string;
  line: number;
  column: number;
}

/** One test: its name, its line in the text, and the expectations that did not hold. */
export interface TestResult {
  name: string;
  line: number;
  passed: boolean;
  failures: string[];
  durationMs: number;
}

/** The results of all tests of a text; passed if it has no problem and each test passed. */
export interface TestResults {
  passed: boolean;
  tests: TestResult[];
  problems: TestProblem[];
  coverage: TestCoverage;
}

/** Tests of a definition in the request; see docs/testing.md for their text. */
export interface TestSourceRequest {
  definition: Record<string, unknown> | string;
  tests: Record<string, unknown> | string;
  workflow?: string;
}

/** The user that a login would be; without roles the login is refused. */
export interface TestedUser {
  reachable: boolean;
  problem?: string;
  email: string;
  name: string;
  roles: GrantValue[];
}

/** The outcome of a test event; without an HTTP response, its status is 0. */
export interface TestedValue {
  delivered: boolean;
  httpStatus: number;
  error: string;
  durationMs: number;
}

/** A text in a format of a plugin. */
export interface TextBody {
  text: string;
}

/** A node with a due time: of a timer, of the next attempt, or of a timeout. */
export interface TimerAt {
  taskId: string;
  dueAt: string;
}

/** The tokens of the calls of a provider. */
export interface TokenUsage {
  inputTokens: number;
  outputTokens: number;
}

/** Tokens of a session; absent where they are set as cookies. */
export interface TokensValue {
  accessToken?: string;
  accessExpiresAt: string;
  refreshToken?: string;
  refreshExpiresAt: string;
}

/** The hub, its spokes, and one connection per spoke. */
export interface TopologyAnswer {
  workflow: string;
  version: number;
  hub: string;
  spokes: Spoke[];
  connections: string[][];
}

/** The calls from one service to another; durations are upper bounds. */
export interface TopologyEdgeValue {
  source: string;
  target: string;
  calls: number;
  errors: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  lastAt: string;
}

/** A service that is registered or takes part in calls. */
export interface TopologyNodeValue {
  name: string;
  type: string;
  instances: number;
  healthy: number;
}

/** The trace of an execution. Of the tasks inside maps, groups and state machines it has those of the critical path, the failed and the slowest; `omitted` is the number of others, `counts` has all tasks by status. */
export interface Trace {
  executionId: string;
  workflow: string;
  version: number;
  status: "canceled" | "completed" | "failed" | "paused" | "pending" | "running";
  startedAt?: string;
  durationMs: number;
  tasks: TaskTrace[];
  tree: TraceBranch[];
  resolutionOrder: string[];
  groups: TraceGroups;
  criticalPath: string[];
  bottleneck?: Bottleneck;
  slowest?: string;
  longestWait?: string;
  counts: Record<string, number>;
  omitted: number;
  truncated: boolean;
}

/** A task and the tasks that it released. */
export interface TraceBranch {
  id: string;
  children: TraceBranch[];
}

/** Groups of the tasks of the plan's graph; tasks in a map count as the map. */
export interface TraceGroups {
  planned: string[][];
  actual: string[][];
  plannedWidth: number;
  actualWidth: number;
}

/** Triggers, sorted by workflow and id. */
export interface TriggerList {
  triggers: TriggerValue[];
  nextPageToken: string;
}

/** A trigger and its statistics; `nextAt` is the next instant of a schedule. `fired` counts firings; of these, `refused` started no execution, and `joined` returned an existing execution. */
export interface TriggerValue {
  workflow: string;
  id: string;
  kind: "change" | "cron" | "event" | "queue" | "webhook";
  version: number;
  paused: boolean;
  nextAt?: string;
  lastAt?: string;
  lastExecutionId?: string;
  lastError?: string;
  fired: number;
  missed: number;
  refused: number;
  joined: number;
  expression?: string;
  timezone?: string;
  type?: string;
  source?: string;
  filter?: string;
  queue?: string;
  database?: string;
  table?: string;
  operations?: ("DELETE" | "INSERT" | "UPDATE")[];
  slot?: ChangeSlotValue;
  provider?: string;
  url?: string;
  input?: unknown;
}

/** Changed members of an API key; absent ones keep their value. */
export interface UpdateApiKeyRequest {
  name?: string;
  networks?: string[] | null;
  expiresAt?: string;
}

/** Changed members; absent ones keep their value. */
export interface UpdateRequest {
  slug?: string;
  name?: string;
}

/** A version of a plugin, and the permissions that it has more than the one before. */
export interface UpgradeBody {
  version?: string;
  accepted?: string[];
  allProjects?: boolean;
}

/** Use per hour, newest first. */
export interface UsageList {
  usage: UsageValue[];
}

/** Executions that started in an hour. */
export interface UsageValue {
  hour: string;
  started: number;
  completed: number;
  failed: number;
}

/** Users of a company, sorted by email address. */
export interface UserList {
  users: UserValue[];
  nextPageToken: string;
}

/** A user of the installation. */
export interface UserValue {
  id: string;
  email: string;
  name: string;
  createdAt?: string;
  lastLoginAt?: string;
  disabled: boolean;
  roles?: GrantValue[];
}

/** A document that is checked as a release of an application. */
export interface ValidateAppRequest {
  document: string;
  files?: Record<string, FileBody>;
  environment?: Record<string, string>;
  baseRelease?: number;
}

/** All problems of a source, and the workflows that it affects. */
export interface Validation {
  valid: boolean;
  problems: ProblemValue[];
  affected?: WorkflowReference[];
  affectedCount?: number;
}

/** A new value of a variable. */
export interface VariableRequest {
  value: unknown;
  reason?: string;
  requestId?: string;
}

/** Values for templates: the input, outputs by task, the values of state machines, signals, and the declared variables. */
export interface Variables {
  input: unknown;
  tasks: Record<string, unknown>;
  states: Record<string, unknown>;
  signals: SignalAt[];
  declared: Record<string, unknown>;
}

/** Versions, newest first. */
export interface VersionList {
  versions: WorkflowAnswer[];
  nextPageToken: string;
}

/** A period in which a task waited, with its reason. */
export interface WaitPart {
  reason: "child" | "dependency" | "engine" | "handler" | "items" | "parallelism" | "pause" | "people" | "retry" | "signal" | "start" | "worker";
  fromMs: number;
  toMs: number;
  becauseOf?: string;
}

/** The history of one value; `readers` are the tasks with templates that refer to it. */
export interface Watch {
  executionId: string;
  path: string;
  steps: WatchStep[];
  readers: string[];
  truncated: boolean;
}

/** An event at which a task set the value, read it, or ended (`pass`). `value` is the value at that event, left out if absent; `changed` is true if it differs from the value before. */
export interface WatchStep {
  sequence: number;
  at: string;
  event: string;
  action: "pass" | "read" | "set";
  taskId?: string;
  value?: unknown;
  changed: boolean;
}

/** A webhook; secrets are references such as `secret://name`. */
export interface WebhookSinkValue {
  url: string;
  mode?: "binary" | "structured";
  secretRef?: string;
  headers?: Record<string, string>;
}

/** Workers by id, built-in ones last; tasks of `unreachable` orchestrators are not counted. */
export interface WorkerList {
  workers: WorkerValue[];
  unreachable: string[];
}

/** An attached worker, or the built-in executors of a worker service. `running` counts tasks of this namespace. No `queues` means all. `version` is the program with its version, such as `python-0.2.0`; empty if the worker did not report it. `routing` is there where the installation has learned routing. */
export interface WorkerValue {
  workerId: string;
  workerService: string;
  builtin: boolean;
  queues: string[];
  taskTypes: string[];
  labels: Record<string, string>;
  slots: number;
  running: number;
  version: string;
  attachedAt?: string;
  routing: LearnedRoutingValue[];
}

/** The workers of the namespace, the sick ones first. */
export interface WorkersCompared {
  text: string;
  workers: ComparedWorkerValue[];
}

/** One version of a workflow; `digest` is the SHA-256 of its canonical form. */
export interface WorkflowAnswer {
  name: string;
  version: number;
  digest: string;
  title?: string;
  format: string;
  createdAt: string;
  labels: Record<string, string>;
  definition?: unknown;
}

/** An execution with its graph; `variables` are members of the input and the current declared variables, `metadata` its labels and search attributes. A paused execution has the status running. Large values are references. `omitted` counts the tasks of items that are left out, `truncated` is set if there are even more. */
export interface WorkflowContext {
  id: string;
  workflowId: string;
  status: "canceled" | "completed" | "failed" | "pending" | "running";
  startTime: string;
  endTime?: string;
  processedWorkflow: AnalysisAnswer;
  variables: unknown;
  nodeResults: Record<string, NodeResult>;
  currentNodes: string[];
  completedNodes: string[];
  failedNodes: string[];
  activePaths: number[];
  metadata: Record<string, unknown>;
  omitted?: number;
  truncated?: boolean;
}

/** Newest versions, sorted by name. */
export interface WorkflowList {
  workflows: WorkflowAnswer[];
  nextPageToken: string;
}

/** Workflows, sorted by name, each in its newest version. */
export interface WorkflowMap {
  workflows: MapWorkflow[];
  nextPageToken: string;
}

/** Numbers of a workflow since the start of each orchestrator. */
export interface WorkflowNumbers {
  workflow: string;
  started: number;
  completed: number;
  failed: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
}

/** A version of a workflow that is in use: the newest, or one that `labels` point to. `namespace` is present if it is not the namespace of the request; `taskVersion` is the pinned version of the task. */
export interface WorkflowReference {
  name: string;
  version: number;
  namespace?: string;
  taskVersion?: number;
  labels?: string[];
}

/** Statistics of a workflow; latencies are from start to end. */
export interface WorkflowStatsValue {
  workflow: string;
  started: number;
  completed: number;
  failed: number;
  canceled: number;
  latency: LatencyValue;
  tasks: TaskStatsValue[];
}

/** A workflow with its last executions, newest first, and its week. `executions` counts by status those that started in the last seven days, `p95Ms` is of the completed ones. `description` has the first 300 characters of that of the definition. */
export interface WorkflowSummary {
  name: string;
  title?: string;
  description?: string;
  version: number;
  format: string;
  createdAt: string;
  labels: Record<string, string>;
  recent: RecentExecution[];
  executions: Record<string, number>;
  p95Ms?: number;
  triggers: number;
}

/** Workflows, sorted by name. */
export interface WorkflowSummaryList {
  workflows: WorkflowSummary[];
  nextPageToken: string;
}

export interface Reads {
  "/api/v1/workflows/{name}/source": { query: { version?: number | string }; body: unknown; answer: unknown };
  "/api/v1/schemas/{kind}": { query: {  }; body: unknown; answer: unknown };
  "/api/v1/task-types": { query: {  }; body: unknown; answer: TaskTypes };
  "/api/v1/workflows": { query: { filter?: string; view?: "plain" | "summary"; pageSize?: number; pageToken?: string }; body: unknown; answer: WorkflowList | WorkflowSummaryList };
  "/api/v1/workflows/{name}": { query: { version?: number | string }; body: unknown; answer: WorkflowAnswer };
  "/api/v1/workflows/{name}/versions": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: VersionList };
  "/api/v1/workflows/{name}/versions/{version}": { query: {  }; body: unknown; answer: WorkflowAnswer };
  "/api/v1/workflows/{name}/analysis": { query: { version?: number; pathCountMax?: number; durations?: "declared" | "observed" }; body: unknown; answer: AnalysisAnswer };
  "/api/v1/tasks": { query: { shared?: boolean; pageSize?: number; pageToken?: string }; body: unknown; answer: TaskList };
  "/api/v1/tasks/{name}": { query: { version?: number }; body: unknown; answer: TaskAnswer };
  "/api/v1/tasks/{name}/versions": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: TaskVersionList };
  "/api/v1/tasks/{name}/versions/{version}": { query: {  }; body: unknown; answer: TaskAnswer };
  "/api/v1/tasks/{name}/statistics": { query: {  }; body: unknown; answer: TaskStatistics };
  "/api/v1/tasks/{name}/usages": { query: { version?: number; pageSize?: number; pageToken?: string }; body: unknown; answer: TaskUsageList };
  "/api/v1/templates": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: TemplateList };
  "/api/v1/templates/{name}": { query: { version?: number }; body: unknown; answer: TemplateAnswer };
  "/api/v1/workflows/{name}/labels": { query: {  }; body: unknown; answer: LabelList };
  "/api/v1/workflows/{name}/labels/{label}": { query: {  }; body: unknown; answer: LabelValue };
  "/api/v1/workflows/{name}/changes": { query: { label?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: ChangeList };
  "/api/v1/tasks/{name}/changes": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: ChangeList };
  "/api/v1/workflows/{name}/compatibility": { query: { from?: number | string; to?: number | string }; body: unknown; answer: CompatibilityAnswer };
  "/api/v1/workflows/{name}/diff": { query: { from?: number | string; to?: number | string }; body: unknown; answer: DiffAnswer };
  "/api/v1/workflows/{name}/topology": { query: { version?: number | string }; body: unknown; answer: TopologyAnswer };
  "/api/v1/workflows:map": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: WorkflowMap };
  "/api/v1/nodes": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: PublicNodes };
  "/api/v1/workflows/{name}:export": { query: { format?: "native" | "python" | "steps" | "graph" | "serverless" | "states"; version?: number }; body: unknown; answer: unknown };
  "/api/v1/workflows/{name}/graph": { query: { format?: "svg" | "mermaid" | "dot" | "json"; version?: number }; body: unknown; answer: unknown };
  "/api/v1/executions/{executionId}/graph": { query: { format?: "svg" | "mermaid" | "dot" | "json" }; body: unknown; answer: unknown };
  "/api/v1/executions": { query: { filter?: string; orderBy?: string; workflow?: string; workflowId?: string; status?: ("pending" | "running" | "paused" | "completed" | "failed" | "canceled")[]; startedAfter?: string; startedBefore?: string; include?: "search"; archived?: boolean; pageSize?: number; pageToken?: string }; body: unknown; answer: ExecutionList };
  "/api/v1/executions/{executionId}": { query: {  }; body: unknown; answer: ExecutionAnswer };
  "/api/v1/executions/{executionId}/results": { query: { view?: "tasks" | "steps" | "context" | "nodes" }; body: unknown; answer: Results };
  "/api/v1/executions/{executionId}/history": { query: { after?: number; pageSize?: number; view?: "full" | "outline" }; body: unknown; answer: History };
  "/api/v1/executions/{executionId}/state": { query: { at?: number | string }; body: unknown; answer: StateAnswer | StateAt };
  "/api/v1/executions/{executionId}/nodes": { query: { inputs?: boolean }; body: unknown; answer: NodeRecords };
  "/api/v1/executions/{executionId}/nodes/{node}": { query: {  }; body: unknown; answer: NodeExecution };
  "/api/v1/executions/{executionId}/context": { query: { limit?: number }; body: unknown; answer: WorkflowContext };
  "/api/v1/approvals": { query: { assignee?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: ApprovalList };
  "/api/v1/link-keys": { query: {  }; body: unknown; answer: LinkKeyList };
  "/api/v1/executions:series": { query: { filter?: string; stepS?: number; groupBy?: string[]; durations?: boolean }; body: unknown; answer: SeriesAnswer };
  "/api/v1/executions:count": { query: { filter?: string; groupBy?: string[] }; body: unknown; answer: CountAnswer };
  "/api/v1/bulk": { query: {  }; body: unknown; answer: BulkList };
  "/api/v1/bulk/{bulkId}": { query: {  }; body: unknown; answer: BulkAnswer };
  "/api/v1/retention": { query: {  }; body: unknown; answer: RetentionAnswer };
  "/api/v1/archive": { query: { workflow?: string; startedAfter?: string; startedBefore?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: ArchivedList };
  "/api/v1/archive/{executionId}": { query: {  }; body: unknown; answer: unknown };
  "/api/v1/executions/{executionId}/trace": { query: { limit?: number }; body: unknown; answer: Trace };
  "/api/v1/executions/{executionId}/compare/{otherId}": { query: {  }; body: unknown; answer: Comparison };
  "/api/v1/executions/{executionId}/watch": { query: { path: string }; body: unknown; answer: Watch };
  "/api/v1/executions/{executionId}/explain": { query: { task?: string }; body: unknown; answer: Explanation };
  "/api/v1/workflows/{name}/bottlenecks": { query: { executions?: number }; body: unknown; answer: Bottlenecks };
  "/api/v1/workflows/{name}/optimize": { query: { executions?: number }; body: unknown; answer: Optimization };
  "/api/v1/workflows/{name}/explain": { query: { version?: number }; body: unknown; answer: Diagnosis };
  "/api/v1/stats": { query: { workflow?: string }; body: unknown; answer: StatsAnswer };
  "/api/v1/observe/series": { query: { metric?: string; from?: string; until?: string; stepS?: number; groupBy?: string; where?: string[]; quantile?: number }; body: unknown; answer: MetricSeriesList };
  "/api/v1/observe/logs": { query: { filter?: string; after?: number; pageSize?: number; pageToken?: string }; body: unknown; answer: KeptLogList };
  "/api/v1/observe/service-logs": { query: { filter?: string; after?: number; pageSize?: number; pageToken?: string }; body: unknown; answer: KeptLogList };
  "/api/v1/observe/calls": { query: { filter?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: KeptCallList };
  "/api/v1/observe/service-calls": { query: { filter?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: KeptCallList };
  "/api/v1/observe/slos/{workflow}": { query: { target?: number; windowS?: number; slowerThanMs?: number }; body: unknown; answer: SloValue };
  "/api/v1/observe/slos": { query: {  }; body: unknown; answer: SloList };
  "/api/v1/observe/spans": { query: { executionId?: string; trace?: string }; body: unknown; answer: SpanList };
  "/api/v1/observe/slowness/{workflow}": { query: { since?: string; until?: string }; body: unknown; answer: SlownessExplained };
  "/api/v1/observe/queues/{queue}": { query: { from?: string; until?: string }; body: unknown; answer: QueueUseValue };
  "/api/v1/observe/workers": { query: { from?: string; until?: string }; body: unknown; answer: WorkersCompared };
  "/api/v1/observe/map": { query: { from?: string; until?: string }; body: unknown; answer: ServiceMapValue };
  "/api/v1/observe/dashboards": { query: {  }; body: unknown; answer: DashboardList };
  "/api/v1/observe/dashboards/{name}": { query: {  }; body: unknown; answer: SavedDashboard };
  "/api/v1/observe/dashboards/{name}/source": { query: {  }; body: unknown; answer: unknown };
  "/api/v1/workflows/{name}/grid": { query: { executions?: number }; body: unknown; answer: GridAnswer };
  "/api/v1/limits": { query: {  }; body: unknown; answer: LimitList };
  "/api/v1/limits/changes": { query: { pageSize?: number; before?: number }; body: unknown; answer: LimitChangeList };
  "/api/v1/queues": { query: {  }; body: unknown; answer: QueueList };
  "/api/v1/workers": { query: {  }; body: unknown; answer: WorkerList };
  "/api/v1/dead-letters": { query: { filter?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: DeadLetterList };
  "/api/v1/breakers": { query: {  }; body: unknown; answer: BreakerList };
  "/api/v1/meters": { query: { from?: string; to?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: MeterList };
  "/api/v1/meters:export": { query: { from?: string; to?: string; format?: "csv" | "openmetrics" }; body: unknown; answer: unknown };
  "/api/v1/executions/{executionId}/events": { query: { after?: number; type?: string[]; view?: "full" | "outline" }; body: unknown; answer: unknown };
  "/api/v1/events": { query: { workflow?: string; workflowId?: string; execution?: string; executionId?: string; type?: string[]; after?: string; cursor?: string; view?: "full" | "outline"; envelope?: "none" | "cloudevents" }; body: unknown; answer: unknown };
  "/api/v1/triggers": { query: { workflow?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: TriggerList };
  "/api/v1/workflows/{name}/triggers": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: TriggerList };
  "/api/v1/workflows/{name}/triggers/{trigger}/causes": { query: { from?: string; to?: string; countOnly?: boolean; pageSize?: number; pageToken?: string }; body: unknown; answer: CauseList };
  "/api/v1/executions/{executionId}/hooks": { query: {  }; body: unknown; answer: HookList };
  "/api/v1/subscriptions": { query: {  }; body: unknown; answer: SubscriptionList };
  "/api/v1/subscriptions/{subscription}": { query: {  }; body: unknown; answer: SubscriptionValue };
  "/api/v1/subscriptions/{subscription}/notifications": { query: { status?: "pending" | "delivered" | "dead" | "counted"; pageSize?: number; pageToken?: string }; body: unknown; answer: NotificationList };
  "/api/v1/message-queues": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: QueueDetailsList };
  "/api/v1/message-queues/{queue}": { query: {  }; body: unknown; answer: QueueDetails };
  "/api/v1/message-queues:watch": { query: { queue?: string[] }; body: unknown; answer: unknown };
  "/api/v1/message-queues/{queue}/messages": { query: { sequence?: number; count?: number }; body: unknown; answer: MessageList };
  "/api/v1/message-queues/{queue}/diagnosis": { query: {  }; body: unknown; answer: FindingList };
  "/api/v1/exchanges": { query: {  }; body: unknown; answer: ExchangeList };
  "/api/v1/bindings": { query: { exchange?: string; queue?: string }; body: unknown; answer: BindingList };
  "/api/v1/streams": { query: { category?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: StreamList };
  "/api/v1/streams/{stream}/events": { query: { version?: number; backwards?: boolean; count?: number }; body: unknown; answer: StoredEventList };
  "/api/v1/streams/{stream}": { query: {  }; body: unknown; answer: StreamValue };
  "/api/v1/stored-events": { query: { after?: number; stream?: string; category?: string; type?: string[]; count?: number }; body: unknown; answer: PositionedEventList };
  "/api/v1/streams/{stream}:load": { query: { count?: number }; body: unknown; answer: LoadedStream };
  "/api/v1/event-groups": { query: {  }; body: unknown; answer: EventGroupList };
  "/api/v1/event-groups/{group}/parked": { query: { after?: number; count?: number }; body: unknown; answer: ParkedEventList };
  "/api/v1/projections": { query: {  }; body: unknown; answer: ProjectionList };
  "/api/v1/projections/{projection}": { query: {  }; body: unknown; answer: ProjectionValue };
  "/api/v1/projections/{projection}/states": { query: { key?: string[]; generation?: number; pageSize?: number; pageToken?: string }; body: unknown; answer: ProjectionStates };
  "/api/v1/assistant/providers": { query: {  }; body: unknown; answer: ProviderList };
  "/api/v1/apps": { query: {  }; body: unknown; answer: AppList };
  "/api/v1/apps/{app}": { query: {  }; body: unknown; answer: AppValue };
  "/api/v1/apps/{app}/source": { query: { release?: number }; body: unknown; answer: unknown };
  "/api/v1/apps/{app}/releases": { query: {  }; body: unknown; answer: ReleaseList };
  "/api/v1/apps/{app}/logs": { query: { limit?: number; level?: "debug" | "info" | "warn" | "error"; text?: string; module?: string }; body: unknown; answer: LogList };
  "/api/v1/module-schemas": { query: { steps?: boolean }; body: unknown; answer: Record<string, ModuleForm> };
  "/api/v1/module-schemas/{type}": { query: {  }; body: unknown; answer: ModuleForm };
  "/api/v1/agents": { query: { spec?: string; ended?: boolean }; body: unknown; answer: AgentList };
  "/api/v1/agents/{agentId}": { query: {  }; body: unknown; answer: AgentValue };
  "/api/v1/agent-specs": { query: {  }; body: unknown; answer: SpecList };
  "/api/v1/agent-specs/{spec}": { query: {  }; body: unknown; answer: SpecValue };
  "/api/v1/scaling-policies": { query: {  }; body: unknown; answer: PolicyList };
  "/api/v1/scaling-decisions": { query: { spec?: string }; body: unknown; answer: DecisionList };
  "/api/v1/agent-findings": { query: { spec?: string }; body: unknown; answer: AgentFindings };
  "/api/v1/agent-quota": { query: {  }; body: unknown; answer: QuotaAnswer };
  "/api/v1/plugin-catalogue": { query: { query?: string }; body: unknown; answer: CatalogueList };
  "/api/v1/plugins": { query: {  }; body: unknown; answer: PluginList };
  "/api/v1/plugins/{name}": { query: {  }; body: unknown; answer: PluginValue };
  "/api/v1/plugins/{name}/page": { query: {  }; body: unknown; answer: PageValue };
  "/api/v1/services": { query: { name?: string; type?: string; status?: ("HEALTHY" | "DEGRADED" | "UNHEALTHY" | "OFFLINE")[]; capability?: string[]; pageSize?: number; pageToken?: string }; body: unknown; answer: ServiceList };
  "/api/v1/services/{id}": { query: {  }; body: unknown; answer: ServiceValue };
  "/api/v1/transform/operations": { query: {  }; body: unknown; answer: OperationList };
  "/api/v1/payloads/{digest}": { query: {  }; body: unknown; answer: unknown };
  "/api/v1/cells": { query: {  }; body: unknown; answer: CellList };
  "/api/v1/cells/executions": { query: { projects: string[]; filter?: string; workflow?: string; status?: ("pending" | "running" | "paused" | "completed" | "failed" | "canceled")[]; startedAfter?: string; startedBefore?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: CellExecutionList };
  "/api/v1/cells/advice": { query: { projects: string[] }; body: unknown; answer: CellAdvice };
  "/api/v1/topology": { query: { minutes?: number }; body: unknown; answer: CallTopology };
  "/api/v1/auth/sessions": { query: {  }; body: unknown; answer: SessionList };
  "/api/v1/auth/me": { query: {  }; body: unknown; answer: MeAnswer };
  "/api/v1/roles": { query: {  }; body: unknown; answer: RoleList };
  "/api/v1/companies/{companyId}/identity-providers": { query: {  }; body: unknown; answer: IdentityProviderList };
  "/api/v1/identity-providers/{providerId}": { query: {  }; body: unknown; answer: IdentityProviderValue };
  "/api/v1/auth/providers": { query: { company?: string }; body: unknown; answer: LoginProviderList };
  "/api/v1/companies": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: CompanyList };
  "/api/v1/companies/{companyId}": { query: {  }; body: unknown; answer: CompanyValue };
  "/api/v1/companies/{companyId}/organizations": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: OrganizationList };
  "/api/v1/organizations/{organizationId}": { query: {  }; body: unknown; answer: OrganizationValue };
  "/api/v1/organizations/{organizationId}/projects": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: ProjectList };
  "/api/v1/projects/{projectId}": { query: {  }; body: unknown; answer: ProjectValue };
  "/api/v1/members": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: MemberList };
  "/api/v1/members/{userId}": { query: {  }; body: unknown; answer: MemberValue };
  "/api/v1/companies/{companyId}/members": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: MemberList };
  "/api/v1/companies/{companyId}/members/{userId}": { query: {  }; body: unknown; answer: MemberValue };
  "/api/v1/organizations/{organizationId}/members": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: MemberList };
  "/api/v1/organizations/{organizationId}/members/{userId}": { query: {  }; body: unknown; answer: MemberValue };
  "/api/v1/projects/{projectId}/members": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: MemberList };
  "/api/v1/projects/{projectId}/members/{userId}": { query: {  }; body: unknown; answer: MemberValue };
  "/api/v1/invitations": { query: {  }; body: unknown; answer: InvitationList };
  "/api/v1/companies/{companyId}/invitations": { query: {  }; body: unknown; answer: InvitationList };
  "/api/v1/organizations/{organizationId}/invitations": { query: {  }; body: unknown; answer: InvitationList };
  "/api/v1/projects/{projectId}/invitations": { query: {  }; body: unknown; answer: InvitationList };
  "/api/v1/invitations/{invitationId}": { query: {  }; body: unknown; answer: InvitationValue };
  "/api/v1/companies/{companyId}/users": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: UserList };
  "/api/v1/projects/{projectId}/api-keys": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: ApiKeyList };
  "/api/v1/api-keys/{keyId}": { query: {  }; body: unknown; answer: ApiKeyValue };
  "/api/v1/projects/{projectId}/files": { query: { prefix?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: FileList };
  "/api/v1/projects/{projectId}/files/{path}": { query: { version?: number }; body: unknown; answer: unknown };
  "/api/v1/projects/{projectId}/quotas": { query: {  }; body: unknown; answer: ProjectQuota };
  "/api/v1/projects/{projectId}/usage": { query: { hours?: number }; body: unknown; answer: UsageList };
  "/api/v1/companies/{companyId}/plan": { query: {  }; body: unknown; answer: CompanyPlan };
  "/api/v1/projects/{projectId}/encryption": { query: {  }; body: unknown; answer: EncryptionValue };
  "/api/v1/projects/{projectId}/secrets": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: SecretList };
  "/api/v1/audit": { query: { companyId?: string; actor?: string; method?: string; target?: string; from?: string; until?: string; pageSize?: number; pageToken?: string }; body: unknown; answer: AuditEntryList };
  "/api/v1/audit:verify": { query: { companyId?: string }; body: unknown; answer: AuditVerification };
  "/api/v1/audit:export": { query: { companyId?: string }; body: unknown; answer: unknown };
  "/api/v1/evidence:export": { query: { companyId?: string }; body: unknown; answer: unknown };
  "/api/v1/projects/{projectId}/workflows": { query: { filter?: string; view?: "plain" | "summary"; pageSize?: number; pageToken?: string }; body: unknown; answer: WorkflowList | WorkflowSummaryList };
  "/api/v1/projects/{projectId}/workflows/{name}": { query: { version?: number | string }; body: unknown; answer: WorkflowAnswer };
  "/api/v1/projects/{projectId}/workflows/{name}/versions": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: VersionList };
  "/api/v1/projects/{projectId}/workflows/{name}/versions/{version}": { query: {  }; body: unknown; answer: WorkflowAnswer };
  "/api/v1/projects/{projectId}/workflows/{name}/triggers": { query: { pageSize?: number; pageToken?: string }; body: unknown; answer: TriggerList };
  "/api/v1/projects/{projectId}/executions": { query: { filter?: string; orderBy?: string; workflow?: string; workflowId?: string; status?: ("pending" | "running" | "paused" | "completed" | "failed" | "canceled")[]; startedAfter?: string; startedBefore?: string; include?: "search"; archived?: boolean; pageSize?: number; pageToken?: string }; body: unknown; answer: ExecutionList };
  "/api/v1/projects/{projectId}/executions/{executionId}": { query: {  }; body: unknown; answer: ExecutionAnswer };
  "/api/v1/projects/{projectId}/executions/{executionId}/results": { query: { view?: "tasks" | "steps" | "context" | "nodes" }; body: unknown; answer: Results };
  "/api/v1/projects/{projectId}/executions/{executionId}/history": { query: { after?: number; pageSize?: number; view?: "full" | "outline" }; body: unknown; answer: History };
  "/api/v1/projects/{projectId}/executions/{executionId}/state": { query: { at?: number | string }; body: unknown; answer: StateAnswer | StateAt };
  "/api/v1/projects/{projectId}/executions/{executionId}/nodes": { query: { inputs?: boolean }; body: unknown; answer: NodeRecords };
  "/api/v1/projects/{projectId}/executions/{executionId}/nodes/{node}": { query: {  }; body: unknown; answer: NodeExecution };
  "/api/v1/projects/{projectId}/executions:count": { query: { filter?: string; groupBy?: string[] }; body: unknown; answer: CountAnswer };
  "/api/v1/projects/{projectId}/executions/{executionId}/trace": { query: { limit?: number }; body: unknown; answer: Trace };
  "/api/v1/projects/{projectId}/executions/{executionId}/events": { query: { after?: number; type?: string[]; view?: "full" | "outline" }; body: unknown; answer: unknown };
  "/api/v1/projects/{projectId}/workflows/{name}/deployment": { query: {  }; body: unknown; answer: DeploymentValue };
  "/api/v1/dashboard": { query: { hours?: number }; body: unknown; answer: DashboardAnswer };
  "/api/v1/projects/{projectId}/dashboard": { query: { hours?: number }; body: unknown; answer: DashboardAnswer };
  "/api/v1/console/session": { query: {  }; body: unknown; answer: ConsoleSession };
}

export interface Writes {
  "POST /api/v1/workflows/{name}/execute": { query: {  }; body: ExecuteRequest; answer: RunAnswer | Started };
  "POST /api/v1/workflows/{name}/start": { query: {  }; body: StartRequest; answer: Started };
  "POST /api/v1/workflows:convert": { query: { to?: "native" | "python" | "steps" | "graph" | "serverless" | "states" }; body: Record<string, unknown>; answer: unknown };
  "POST /api/v1/workflows:analyze": { query: { pathCountMax?: number }; body: Record<string, unknown>; answer: AnalysisAnswer };
  "POST /api/v1/workflows": { query: { reason?: string; takeOver?: boolean }; body: Record<string, unknown>; answer: Applied };
  "POST /api/v1/workflows:validate": { query: { lint?: boolean; strict?: boolean }; body: unknown; answer: Validation };
  "PUT /api/v1/workflows/{name}": { query: { reason?: string; takeOver?: boolean }; body: Record<string, unknown>; answer: Applied };
  "DELETE /api/v1/workflows/{name}": { query: { reason?: string }; body: unknown; answer: unknown };
  "POST /api/v1/tasks": { query: { reason?: string; takeOver?: boolean }; body: Record<string, unknown>; answer: Applied };
  "PUT /api/v1/tasks/{name}": { query: { reason?: string; takeOver?: boolean }; body: Record<string, unknown>; answer: Applied };
  "DELETE /api/v1/tasks/{name}": { query: { reason?: string }; body: unknown; answer: unknown };
  "DELETE /api/v1/tasks/{name}/versions/{version}": { query: { reason?: string }; body: unknown; answer: unknown };
  "DELETE /api/v1/templates/{name}": { query: { reason?: string }; body: unknown; answer: unknown };
  "POST /api/v1/templates/{name}:instantiate": { query: {  }; body: InstantiateRequest; answer: InstantiatedAnswer };
  "PUT /api/v1/workflows/{name}/labels/{label}": { query: {  }; body: LabelRequest; answer: LabelValue };
  "DELETE /api/v1/workflows/{name}/labels/{label}": { query: { reason?: string }; body: unknown; answer: unknown };
  "POST /api/v1/workflows/{name}/labels/{label}:rollback": { query: {  }; body: ReasonRequest; answer: LabelValue };
  "POST /api/v1/workflows/{name}/compatibility": { query: { from?: number | string }; body: Record<string, unknown>; answer: CompatibilityAnswer };
  "POST /api/v1/admission:review": { query: {  }; body: AdmissionReview; answer: AdmissionAnswer };
  "POST /api/v1/workflows:dryRun": { query: {  }; body: DryRunSourceRequest; answer: Report };
  "POST /api/v1/workflows:test": { query: {  }; body: TestSourceRequest; answer: TestResults };
  "POST /api/v1/workflows/{name}:dryRun": { query: {  }; body: DryRunRequest; answer: Report };
  "DELETE /api/v1/executions/{executionId}": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/executions/{executionId}:cancel": { query: {  }; body: EndRequest; answer: Stopped };
  "POST /api/v1/executions/{executionId}:terminate": { query: {  }; body: EndRequest; answer: Stopped };
  "POST /api/v1/executions/{executionId}:pause": { query: {  }; body: StopRequest; answer: Stopped };
  "POST /api/v1/executions/{executionId}:resume": { query: {  }; body: StopRequest; answer: Stopped };
  "POST /api/v1/executions/{executionId}:signal": { query: {  }; body: SignalRequest; answer: Signaled };
  "POST /api/v1/signals": { query: {  }; body: KeyedSignalRequest; answer: KeyedSignaled };
  "POST /api/v1/executions/{executionId}/nodes/{node}:retry": { query: {  }; body: SteerRequest; answer: Steered };
  "POST /api/v1/executions/{executionId}/nodes/{node}:skip": { query: {  }; body: SteerRequest; answer: Steered };
  "POST /api/v1/executions/{executionId}/nodes/{node}:complete": { query: {  }; body: SteerRequest; answer: Steered };
  "POST /api/v1/executions/{executionId}/nodes/{node}:override": { query: {  }; body: SteerRequest; answer: Steered };
  "POST /api/v1/executions/{executionId}/nodes/{node}:continue": { query: {  }; body: SteerRequest; answer: Steered };
  "POST /api/v1/executions/{executionId}/nodes/{node}:fail": { query: {  }; body: SteerRequest; answer: Steered };
  "POST /api/v1/executions/{executionId}/nodes/{node}:decide": { query: {  }; body: DecisionRequest; answer: Decided };
  "PUT /api/v1/executions/{executionId}/variables/{variable}": { query: {  }; body: VariableRequest; answer: Steered };
  "PUT /api/v1/executions/{executionId}/breakpoints": { query: {  }; body: BreakpointsRequest; answer: Steered };
  "POST /api/v1/executions/{executionId}:rerun": { query: {  }; body: RerunRequest; answer: Rerun };
  "POST /api/v1/executions/{executionId}:replay": { query: {  }; body: RerunRequest; answer: Rerun };
  "POST /api/v1/executions/{executionId}/nodes/{node}:link": { query: {  }; body: LinkRequest; answer: ApprovalLink };
  "POST /api/v1/link-keys:rotate": { query: {  }; body: RotateKeyRequest; answer: LinkKeyRotated };
  "POST /api/v1/executions/{executionId}:attributes": { query: {  }; body: AttributesRequest; answer: Signaled };
  "POST /api/v1/bulk": { query: {  }; body: BulkRequest; answer: BulkAnswer | PreviewAnswer };
  "POST /api/v1/bulk/{bulkId}:cancel": { query: {  }; body: unknown; answer: BulkAnswer };
  "PUT /api/v1/retention": { query: {  }; body: RetentionRequest; answer: RetentionAnswer };
  "POST /api/v1/executions/{executionId}:erase": { query: {  }; body: StopRequest; answer: unknown };
  "PUT /api/v1/observe/slos/{workflow}": { query: {  }; body: SloRequest; answer: SloValue };
  "DELETE /api/v1/observe/slos/{workflow}": { query: {  }; body: unknown; answer: SloDeleted };
  "PUT /api/v1/observe/dashboards/{name}": { query: {  }; body: Record<string, unknown>; answer: SavedDashboard };
  "DELETE /api/v1/observe/dashboards/{name}": { query: {  }; body: unknown; answer: DashboardDeleted };
  "PUT /api/v1/limits": { query: {  }; body: LimitRequest; answer: LimitAnswer };
  "DELETE /api/v1/limits": { query: { kind: "namespace" | "workflow" | "task_type" | "node" | "upstream" | "queue"; subject?: string; reason?: string }; body: unknown; answer: LimitDeleted };
  "POST /api/v1/dispatch/stop": { query: {  }; body: DispatchRequest; answer: LimitAnswer };
  "POST /api/v1/dispatch/start": { query: {  }; body: DispatchRequest; answer: LimitAnswer };
  "POST /api/v1/dead-letters:discard": { query: {  }; body: LettersRequest; answer: LettersChanged };
  "POST /api/v1/dead-letters:restore": { query: {  }; body: LettersRequest; answer: LettersChanged };
  "POST /api/v1/events": { query: {  }; body: PublishRequest; answer: PublishedValue | PublishedBatch | PublishedValue };
  "POST /api/v1/workflows/{name}/triggers/{trigger}:pause": { query: {  }; body: unknown; answer: TriggerValue };
  "POST /api/v1/workflows/{name}/triggers/{trigger}:resume": { query: {  }; body: unknown; answer: TriggerValue };
  "POST /api/v1/workflows/{name}/triggers/{trigger}:fire": { query: {  }; body: FireRequest; answer: FiredValue };
  "POST /api/v1/hooks/{namespace}/{hook}": { query: {  }; body: unknown; answer: ReceivedValue };
  "POST /api/v1/hooks/t/{token}": { query: {  }; body: unknown; answer: ReceivedValue };
  "PUT /api/v1/subscriptions/{subscription}": { query: {  }; body: SubscriptionRequest; answer: SubscriptionValue };
  "DELETE /api/v1/subscriptions/{subscription}": { query: {  }; body: unknown; answer: DeletedValue };
  "POST /api/v1/subscriptions/{subscription}:pause": { query: {  }; body: unknown; answer: SubscriptionValue };
  "POST /api/v1/subscriptions/{subscription}:resume": { query: {  }; body: unknown; answer: SubscriptionValue };
  "POST /api/v1/subscriptions/{subscription}:rotateSecret": { query: {  }; body: RotateSecretRequest; answer: RotatedSecret };
  "POST /api/v1/subscriptions/{subscription}:test": { query: {  }; body: unknown; answer: TestedValue };
  "POST /api/v1/subscriptions/{subscription}/notifications:resend": { query: {  }; body: ResendRequest; answer: ResentValue };
  "PUT /api/v1/message-queues/{queue}": { query: {  }; body: QueueRequest; answer: DeclaredValue };
  "DELETE /api/v1/message-queues/{queue}": { query: { ifEmpty?: boolean }; body: unknown; answer: RemovedValue };
  "POST /api/v1/message-queues/{queue}:redrive": { query: {  }; body: RedriveMessagesRequest; answer: RedrivenValue };
  "POST /api/v1/message-queues/{queue}:discard": { query: {  }; body: DiscardMessagesRequest; answer: CountValue };
  "POST /api/v1/message-queues/{queue}:purge": { query: {  }; body: unknown; answer: CountValue };
  "POST /api/v1/message-queues/{queue}:seek": { query: {  }; body: SeekGroupRequest; answer: DeclaredValue };
  "PUT /api/v1/exchanges/{exchange}": { query: {  }; body: ExchangeRequest; answer: DeclaredValue };
  "DELETE /api/v1/exchanges/{exchange}": { query: {  }; body: unknown; answer: RemovedValue };
  "POST /api/v1/exchanges/{exchange}:bind": { query: {  }; body: BindingRequest; answer: DeclaredValue };
  "POST /api/v1/exchanges/{exchange}:unbind": { query: {  }; body: BindingRequest; answer: RemovedValue };
  "POST /api/v1/exchanges/{exchange}:publish": { query: {  }; body: PublishMessagesRequest; answer: OutcomeList };
  "POST /api/v1/message-queues/{queue}:publish": { query: {  }; body: PublishMessagesRequest; answer: OutcomeList };
  "POST /api/v1/message-queues/{queue}:receive": { query: {  }; body: ReceiveMessagesRequest; answer: ReceivedMessages };
  "POST /api/v1/message-queues/{queue}:settle": { query: {  }; body: SettleMessagesRequest; answer: SettledList };
  "POST /api/v1/streams/{stream}/events": { query: {  }; body: AppendEventsRequest; answer: AppendedValue };
  "DELETE /api/v1/streams/{stream}": { query: { version?: number }; body: unknown; answer: DeletedEvents };
  "PUT /api/v1/streams/{stream}/snapshot": { query: {  }; body: SnapshotRequest; answer: StoredValue };
  "PUT /api/v1/streams/{stream}/retention": { query: {  }; body: StreamRetentionRequest; answer: StoredValue };
  "PUT /api/v1/event-groups/{group}": { query: {  }; body: EventGroupRequest; answer: EventGroupValue };
  "DELETE /api/v1/event-groups/{group}": { query: {  }; body: unknown; answer: StoredValue };
  "POST /api/v1/event-groups/{group}:receive": { query: {  }; body: ReceiveEventsRequest; answer: EventDeliveryList };
  "POST /api/v1/event-groups/{group}:settle": { query: {  }; body: SettleEventsRequest; answer: SettledEvents };
  "POST /api/v1/event-groups/{group}:replay": { query: {  }; body: ReplayParkedRequest; answer: ReplayedEvents };
  "PUT /api/v1/projections/{projection}": { query: {  }; body: ProjectionRequest; answer: ProjectionValue };
  "DELETE /api/v1/projections/{projection}": { query: {  }; body: unknown; answer: StoredValue };
  "POST /api/v1/projections/{projection}:commit": { query: {  }; body: CommitProjectionRequest; answer: StoredValue };
  "POST /api/v1/projections/{projection}:rebuild": { query: {  }; body: unknown; answer: ProjectionValue };
  "POST /api/v1/projections/{projection}:swap": { query: {  }; body: SwapProjectionRequest; answer: ProjectionValue };
  "POST /api/v1/workflows:generate": { query: {  }; body: GenerateRequest; answer: Generated };
  "POST /api/v1/workflows:repair": { query: {  }; body: RepairRequest; answer: Generated };
  "POST /api/v1/workflows:explain": { query: {  }; body: ExplainRequest; answer: AssistantAnswer };
  "POST /api/v1/executions/{executionId}:investigate": { query: {  }; body: InvestigateRequest; answer: AssistantAnswer };
  "DELETE /api/v1/apps/{app}": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/apps/{app}:deploy": { query: {  }; body: DeployRequest; answer: ReleaseValue };
  "POST /api/v1/apps/{app}:validate": { query: {  }; body: ValidateAppRequest; answer: AppValidation };
  "POST /api/v1/apps/{app}:rollback": { query: {  }; body: RollbackRequest; answer: ReleaseValue };
  "POST /api/v1/apps/{app}:stop": { query: {  }; body: unknown; answer: AppValue };
  "POST /api/v1/apps/{app}:start": { query: {  }; body: unknown; answer: AppValue };
  "POST /api/v1/agents": { query: {  }; body: SpawnBody; answer: AgentList };
  "POST /api/v1/agents/{agentId}:stop": { query: {  }; body: unknown; answer: AgentValue };
  "POST /api/v1/agents/{agentId}:restart": { query: {  }; body: unknown; answer: AgentValue };
  "PUT /api/v1/agent-specs/{spec}": { query: { takeOver?: boolean }; body: SpecBody; answer: SpecValue };
  "DELETE /api/v1/agent-specs/{spec}": { query: { stopAgents?: boolean }; body: unknown; answer: unknown };
  "POST /api/v1/agent-specs/{spec}:scale": { query: {  }; body: ScaleBody; answer: SpecValue };
  "PUT /api/v1/scaling-policies/{policy}": { query: { takeOver?: boolean }; body: PolicyBody; answer: ScalingPolicyValue };
  "DELETE /api/v1/scaling-policies/{policy}": { query: {  }; body: unknown; answer: unknown };
  "PUT /api/v1/agent-quota": { query: {  }; body: QuotaBody; answer: AgentBounds };
  "POST /api/v1/plugins": { query: {  }; body: InstallBody; answer: PluginValue };
  "DELETE /api/v1/plugins/{name}": { query: { allProjects?: boolean }; body: unknown; answer: unknown };
  "POST /api/v1/plugins/{name}:read": { query: {  }; body: TextBody; answer: DocumentList };
  "POST /api/v1/plugins/{name}:configure": { query: {  }; body: ConfigureBody; answer: PluginValue };
  "POST /api/v1/plugins/{name}:upgrade": { query: {  }; body: UpgradeBody; answer: PluginValue };
  "POST /api/v1/plugins/{name}:pin": { query: {  }; body: PinBody; answer: PluginValue };
  "POST /api/v1/services": { query: {  }; body: ServiceRequest; answer: ServiceValue };
  "DELETE /api/v1/services/{id}": { query: {  }; body: unknown; answer: DoneValue };
  "PUT /api/v1/payloads": { query: {  }; body: unknown; answer: StoredPayload };
  "POST /api/v1/services/{id}:heartbeat": { query: {  }; body: HeartbeatBody; answer: DoneValue };
  "POST /api/v1/services/{id}:drain": { query: {  }; body: DrainBody; answer: ServiceValue };
  "POST /api/v1/auth/register": { query: {  }; body: RegisterRequest; answer: SessionAnswer };
  "POST /api/v1/auth/bootstrap": { query: {  }; body: BootstrapRequest; answer: SessionAnswer };
  "POST /api/v1/auth/login": { query: {  }; body: LoginRequest; answer: SessionAnswer };
  "POST /api/v1/auth/refresh": { query: {  }; body: RefreshRequest; answer: TokensValue };
  "POST /api/v1/auth/logout": { query: {  }; body: LogoutRequest; answer: LogoutAnswer };
  "DELETE /api/v1/auth/sessions/{sessionId}": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/auth/password": { query: {  }; body: PasswordRequest; answer: unknown };
  "POST /api/v1/companies/{companyId}/identity-providers": { query: {  }; body: IdentityProviderRequest; answer: IdentityProviderValue };
  "PUT /api/v1/identity-providers/{providerId}": { query: {  }; body: IdentityProviderRequest; answer: IdentityProviderValue };
  "DELETE /api/v1/identity-providers/{providerId}": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/identity-providers/{providerId}:test": { query: {  }; body: IdentityProviderTest; answer: TestedUser };
  "POST /api/v1/auth/device": { query: {  }; body: unknown; answer: DeviceLogin };
  "POST /api/v1/auth/device:complete": { query: {  }; body: DeviceRequest; answer: SessionAnswer };
  "POST /api/v1/auth/device:approve": { query: {  }; body: DeviceApproval; answer: unknown };
  "POST /api/v1/auth/loopback:approve": { query: {  }; body: LoopbackApproval; answer: LoopbackCode };
  "POST /api/v1/auth/loopback:complete": { query: {  }; body: LoopbackRequest; answer: SessionAnswer };
  "POST /api/v1/companies": { query: {  }; body: CreateRequest; answer: CompanyValue };
  "PATCH /api/v1/companies/{companyId}": { query: {  }; body: UpdateRequest; answer: CompanyValue };
  "DELETE /api/v1/companies/{companyId}": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/companies/{companyId}/organizations": { query: {  }; body: CreateRequest; answer: OrganizationValue };
  "PATCH /api/v1/organizations/{organizationId}": { query: {  }; body: UpdateRequest; answer: OrganizationValue };
  "DELETE /api/v1/organizations/{organizationId}": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/organizations/{organizationId}/projects": { query: {  }; body: CreateProjectRequest; answer: ProjectValue };
  "PATCH /api/v1/projects/{projectId}": { query: {  }; body: UpdateRequest; answer: ProjectValue };
  "DELETE /api/v1/projects/{projectId}": { query: {  }; body: unknown; answer: unknown };
  "PUT /api/v1/members/{userId}": { query: {  }; body: RoleRequest; answer: unknown };
  "DELETE /api/v1/members/{userId}": { query: {  }; body: unknown; answer: unknown };
  "PUT /api/v1/companies/{companyId}/members/{userId}": { query: {  }; body: RoleRequest; answer: unknown };
  "DELETE /api/v1/companies/{companyId}/members/{userId}": { query: {  }; body: unknown; answer: unknown };
  "PUT /api/v1/organizations/{organizationId}/members/{userId}": { query: {  }; body: RoleRequest; answer: unknown };
  "DELETE /api/v1/organizations/{organizationId}/members/{userId}": { query: {  }; body: unknown; answer: unknown };
  "PUT /api/v1/projects/{projectId}/members/{userId}": { query: {  }; body: RoleRequest; answer: unknown };
  "DELETE /api/v1/projects/{projectId}/members/{userId}": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/invitations": { query: {  }; body: InviteRequest; answer: CreatedInvitation };
  "POST /api/v1/companies/{companyId}/invitations": { query: {  }; body: InviteRequest; answer: CreatedInvitation };
  "POST /api/v1/organizations/{organizationId}/invitations": { query: {  }; body: InviteRequest; answer: CreatedInvitation };
  "POST /api/v1/projects/{projectId}/invitations": { query: {  }; body: InviteRequest; answer: CreatedInvitation };
  "DELETE /api/v1/invitations/{invitationId}": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/users/{userId}:disable": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/users/{userId}:enable": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/projects/{projectId}/api-keys": { query: {  }; body: CreateApiKeyRequest; answer: CreatedApiKey };
  "PATCH /api/v1/api-keys/{keyId}": { query: {  }; body: UpdateApiKeyRequest; answer: ApiKeyValue };
  "DELETE /api/v1/api-keys/{keyId}": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/api-keys/{keyId}:rotate": { query: {  }; body: RotateApiKeyRequest; answer: CreatedApiKey };
  "PUT /api/v1/projects/{projectId}/files/{path}": { query: {  }; body: unknown; answer: FileValue };
  "DELETE /api/v1/projects/{projectId}/files/{path}": { query: {  }; body: unknown; answer: unknown };
  "PUT /api/v1/projects/{projectId}/quotas": { query: {  }; body: QuotaRequest; answer: QuotaValue };
  "PUT /api/v1/companies/{companyId}/plan": { query: {  }; body: PlanRequest; answer: PlanValue };
  "PUT /api/v1/projects/{projectId}/encryption": { query: {  }; body: unknown; answer: EncryptionValue };
  "POST /api/v1/projects/{projectId}/encryption:rotate": { query: {  }; body: unknown; answer: EncryptionValue };
  "POST /api/v1/projects/{projectId}/encryption:destroy": { query: {  }; body: unknown; answer: EncryptionValue };
  "PUT /api/v1/projects/{projectId}/secrets/{secret}": { query: {  }; body: SecretRequest; answer: SecretValue };
  "DELETE /api/v1/projects/{projectId}/secrets/{secret}": { query: {  }; body: unknown; answer: unknown };
  "POST /api/v1/projects/{projectId}/workflows": { query: { reason?: string; takeOver?: boolean }; body: Record<string, unknown>; answer: Applied };
  "POST /api/v1/projects/{projectId}/workflows:validate": { query: { lint?: boolean; strict?: boolean }; body: unknown; answer: Validation };
  "PUT /api/v1/projects/{projectId}/workflows/{name}": { query: { reason?: string; takeOver?: boolean }; body: Record<string, unknown>; answer: Applied };
  "DELETE /api/v1/projects/{projectId}/workflows/{name}": { query: { reason?: string }; body: unknown; answer: unknown };
  "POST /api/v1/projects/{projectId}/workflows/{name}/execute": { query: {  }; body: ExecuteRequest; answer: RunAnswer | Started };
  "POST /api/v1/projects/{projectId}/workflows/{name}/start": { query: {  }; body: StartRequest; answer: Started };
  "POST /api/v1/projects/{projectId}/executions/{executionId}:cancel": { query: {  }; body: EndRequest; answer: Stopped };
  "POST /api/v1/projects/{projectId}/executions/{executionId}:terminate": { query: {  }; body: EndRequest; answer: Stopped };
  "POST /api/v1/projects/{projectId}/executions/{executionId}:pause": { query: {  }; body: StopRequest; answer: Stopped };
  "POST /api/v1/projects/{projectId}/executions/{executionId}:resume": { query: {  }; body: StopRequest; answer: Stopped };
  "POST /api/v1/projects/{projectId}/executions/{executionId}:signal": { query: {  }; body: SignalRequest; answer: Signaled };
  "POST /api/v1/projects/{projectId}/executions/{executionId}:rerun": { query: {  }; body: RerunRequest; answer: Rerun };
  "POST /api/v1/projects/{projectId}/workflows/{name}:deploy": { query: {  }; body: LabelRequest; answer: DeploymentValue };
  "POST /api/v1/projects/{projectId}/workflows/{name}:stop": { query: {  }; body: ReasonRequest; answer: DeploymentValue };
  "POST /api/v1/projects/{projectId}/workflows/{name}:rollback": { query: {  }; body: ReasonRequest; answer: DeploymentValue };
}
