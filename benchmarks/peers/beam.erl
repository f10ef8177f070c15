%% One process of the BEAM that keeps the books of an agent; see beam.py for what is equal.
%%
%% `erl -noshell -s beam main KIND BURST RUNS N` does N activities, RUNS times, and prints the milliseconds of processor
%% time, the microseconds of real time, and the state at the end.
-module(beam).
-export([main/1]).

-record(message, {id, payload, lane = standard, created = 0.0}).  % what a sender of dataclasses makes
-record(activity, {id, runtime, payload, lane, created, parent, receipt}).
-record(outcome, {id, activity, runtime, priority, fate, created, started, finished, attempts, error}).
-record(agent, {
    id, state = 0, workflow, status, depth,
    priority = queue:new(), standard = queue:new(), streak = 0,
    accepted = {0, 0}, started = 0, done = 0, failed = 0, sequence = 0,
    waits, services, ring = queue:new(), kept = 0
}).

-define(RING, 20000).       % records, as the ring of a manager
-define(BUCKETS, 65536).    % of a histogram: the upper 16 bits of a number
-define(FAIRNESS, 8).       % urgent ones, after which a standard one has its turn
-define(IDLE, 1).
-define(PROCESSING, 2).

main([Kind, Burst, Runs, N]) ->
    Make = maker(Kind),
    [BurstLength, Times, Count] = [list_to_integer(atom_to_list(Each)) || Each <- [Burst, Runs, N]],
    Workflow = workflow(Kind),
    Agent = spawn_link(fun() -> idle(new(agent, Workflow)) end),
    send_in_bursts(Agent, Make, BurstLength, Count, 0, 0),  % the first run is not counted
    {Cpu, _} = erlang:statistics(runtime),
    Started = erlang:monotonic_time(),
    State = lists:foldl(
        fun(Run, _) -> send_in_bursts(Agent, Make, BurstLength, Count, Run * Count, 0) end, 0, lists:seq(1, Times)
    ),
    Wall = erlang:convert_time_unit(erlang:monotonic_time() - Started, native, microsecond),
    {CpuNow, _} = erlang:statistics(runtime),
    io:format("~b ~b ~b~n", [CpuNow - Cpu, Wall, State - Count]),
    halt().

maker(struct) -> fun(_, Payload) -> Payload end;
maker(dataclass) -> fun(Id, Payload) -> #message{id = Id, payload = Payload} end.

workflow(struct) -> fun(#activity{payload = Payload}, State) -> State + Payload end;
workflow(dataclass) -> fun(#activity{payload = #message{payload = Payload}}, State) -> State + Payload end.

%% ---- the sender

%% The last of each burst is awaited.
send_in_bursts(_, _, _, 0, _, State) ->
    State;
send_in_bursts(Agent, Make, Burst, Left, Id, _) ->
    Size = min(Burst, Left),
    send(Agent, Make, Size - 1, Id),
    Receipt = make_ref(),
    Agent ! activity(Id + Size, Make(Id + Size, 1), {self(), Receipt}),
    receive
        {Receipt, #outcome{fate = done}, State} -> send_in_bursts(Agent, Make, Burst, Left - Size, Id + Size, State)
    end.

send(_, _, 0, _) ->
    ok;
send(Agent, Make, Left, Id) ->
    Agent ! activity(Id, Make(Id, 1), none),
    send(Agent, Make, Left - 1, Id + 1).

activity(Id, Payload, Receipt) ->
    #activity{
        id = Id, runtime = agent, payload = Payload, lane = standard, created = erlang:monotonic_time(), receipt = Receipt
    }.

%% ---- the agent

new(Id, Workflow) ->
    #agent{
        id = Id, workflow = Workflow, status = atomics:new(1, []), depth = counters:new(2, []),
        waits = counters:new(?BUCKETS, []), services = counters:new(?BUCKETS, [])
    }.

idle(Agent) ->
    atomics:put(Agent#agent.status, 1, ?IDLE),
    receive
        Activity -> take(accept(Activity, Agent))
    end.

%% Whatever has come meanwhile goes into its lane, so that an urgent one is seen before the next one starts.
take(Agent) ->
    receive
        Activity -> take(accept(Activity, Agent))
    after 0 -> next(Agent)
    end.

accept(Activity = #activity{lane = standard}, Agent = #agent{standard = Lane, accepted = {Priority, Standard}}) ->
    counters:add(Agent#agent.depth, 2, 1),
    record(Activity, Agent#agent{standard = queue:in(Activity, Lane), accepted = {Priority, Standard + 1}});
accept(Activity = #activity{lane = priority}, Agent = #agent{priority = Lane, accepted = {Priority, Standard}}) ->
    counters:add(Agent#agent.depth, 1, 1),
    record(Activity, Agent#agent{priority = queue:in(Activity, Lane), accepted = {Priority + 1, Standard}}).

next(Agent = #agent{streak = Streak, priority = Urgent, standard = Standard}) ->
    case Streak < ?FAIRNESS orelse queue:is_empty(Standard) of
        true ->
            case queue:out(Urgent) of
                {{value, Activity}, Rest} ->
                    process(Activity, 1, Agent#agent{priority = Rest, streak = Streak + 1});
                {empty, _} ->
                    next_standard(Agent)
            end;
        false ->
            next_standard(Agent)
    end.

next_standard(Agent = #agent{standard = Standard}) ->
    case queue:out(Standard) of
        {{value, Activity}, Rest} -> process(Activity, 2, Agent#agent{standard = Rest, streak = 0});
        {empty, _} -> idle(Agent)
    end.

process(Activity = #activity{created = Created}, Lane, Agent = #agent{state = State, workflow = Workflow}) ->
    Started = erlang:monotonic_time(),
    counters:sub(Agent#agent.depth, Lane, 1),
    atomics:put(Agent#agent.status, 1, ?PROCESSING),
    try Workflow(Activity, State) of
        New when is_integer(New) -> finish(Activity, Created, Started, New, done, none, Agent);
        Other -> finish(Activity, Created, Started, State, failed, {no_state, Other}, Agent)
    catch
        Class:Reason -> finish(Activity, Created, Started, State, failed, {Class, Reason}, Agent)
    end.

finish(Activity, Created, Started, State, Fate, Error, Agent) ->
    #agent{id = Id, started = Count, done = Done, failed = Failed, sequence = Sequence} = Agent,
    Finished = erlang:monotonic_time(),
    observe(Agent#agent.waits, Started - Created),
    observe(Agent#agent.services, Finished - Started),
    Outcome = #outcome{
        id = Sequence, activity = Activity#activity.id, runtime = Id, priority = Activity#activity.lane =:= priority,
        fate = Fate, created = Created, started = Started, finished = Finished, attempts = 1, error = Error
    },
    settle(Activity#activity.receipt, Outcome, State),
    {NowDone, NowFailed} = case Fate of done -> {Done + 1, Failed}; failed -> {Done, Failed + 1} end,
    take(record(Outcome, Agent#agent{state = State, started = Count + 1, done = NowDone, failed = NowFailed})).

settle(none, _, _) -> ok;
settle({Sender, Receipt}, Outcome, State) -> Sender ! {Receipt, Outcome, State}.

observe(Histogram, Duration) ->
    <<Bucket:16, _/bitstring>> = <<Duration/float>>,
    counters:add(Histogram, Bucket + 1, 1).

%% The last ?RING records.
record(Record, Agent = #agent{ring = Ring, kept = ?RING, sequence = Sequence}) ->
    Agent#agent{ring = queue:in(Record, queue:drop(Ring)), sequence = Sequence + 1};
record(Record, Agent = #agent{ring = Ring, kept = Kept, sequence = Sequence}) ->
    Agent#agent{ring = queue:in(Record, Ring), kept = Kept + 1, sequence = Sequence + 1}.
