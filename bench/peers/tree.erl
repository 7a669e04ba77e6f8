%% The tree by Erlang processes: a coordinator and five workers, in one VM without a checkpoint, or
%% each in a VM of its own with one. The same tree as everywhere: leaves of four numbers from the
%% top, then even groups. Up to 64 operations wait at each worker; what is ready goes before fresh
%% leaves.
%%
%% With a checkpoint, every finished product goes to every worker before anything that needs it is
%% assigned; each keeps what no held product covers; assignments name their operands. Nobody
%% detects a death or takes over: that would be written by hand.
%%
%% Answers each line `N FILE` on standard input, as tree.py says.
-module(tree).
-export([vm/0, nodes/1, worker/0]).

-define(WORKERS, 5).
-define(WINDOW, 64).

vm() ->
    serve([spawn_link(fun() -> work(#{}) end) || _ <- lists:seq(1, ?WORKERS)], false).

nodes(Names) ->
    serve([{tree_worker, await(Name)} || Name <- Names], true).

%% The main process of a worker's VM.
worker() ->
    register(tree_worker, self()),
    work(#{}).

await(Name) ->
    case net_kernel:connect_node(Name) andalso rpc:call(Name, erlang, whereis, [tree_worker]) of
        Pid when is_pid(Pid) -> Name;
        _ -> timer:sleep(20), await(Name)
    end.

serve(Workers, Checkpoint) ->
    factorial(100, Workers, Checkpoint),
    io:format("ready~n"),
    answer(Workers, Checkpoint).

answer(Workers, Checkpoint) ->
    case io:get_line("") of
        eof -> halt(0);
        Line ->
            [Number, File] = string:lexemes(string:trim(Line), " "),
            N = list_to_integer(Number),
            Begun = erlang:monotonic_time(nanosecond),
            Product = factorial(N, Workers, Checkpoint),
            Ns = erlang:monotonic_time(nanosecond) - Begun,
            ok = file:write_file(File, binary:encode_unsigned(Product, little)),
            io:format("{\"operations\": ~b, \"ns\": ~b}~n", [lists:sum(widths(N)), Ns]),
            answer(Workers, Checkpoint)
    end.

%% The coordinator.

-record(job, {n, widths, next = 0, ready = [], held = #{}, missing = #{}, workers, checkpoint}).

factorial(N, Workers, Checkpoint) ->
    Job = #job{n = N, widths = list_to_tuple(widths(N)), workers = Workers, checkpoint = Checkpoint},
    Product = collect(lists:foldl(fun fill/2, Job, Workers)),
    [Worker ! forget || Worker <- Workers],
    Product.

fill(Worker, Job) -> fill(Worker, ?WINDOW, Job).

fill(_, 0, Job) -> Job;
fill(Worker, Room, Job) ->
    case next(Job) of
        none -> Job;
        {Operation, Left} ->
            Worker ! {compute, self(), Worker, Operation},
            fill(Worker, Room - 1, Left)
    end.

next(#job{ready = [{Id, Values} | Rest]} = Job) ->
    {{Id, Values}, Job#job{ready = Rest}};
next(#job{next = I, widths = Widths, n = N} = Job) when I < element(1, Widths) ->
    Top = N - 4 * I,
    {{{0, I}, {values, lists:seq(Top, max(Top - 3, 1), -1)}}, Job#job{next = I + 1}};
next(_) -> none.

collect(#job{widths = Widths} = Job) ->
    receive
        {product, _, {Level, 0}, Value} when Level + 1 =:= tuple_size(Widths) -> Value;
        {product, Worker, Id, Value} -> collect(fill(Worker, 1, finished(Id, Value, Job)))
    end.

finished({Level, I} = Id, Value, #job{widths = Widths, held = Held, missing = Missing} = Job) ->
    Children = children(Level, I, Widths),
    [Worker ! {checkpoint, Id, Value, Children} || Job#job.checkpoint, Worker <- Job#job.workers],
    Below = element(Level + 1, Widths),
    Groups = element(Level + 2, Widths),
    Parent = {Level + 1, ((I + 1) * Groups - 1) div Below},
    Needed = children(Level + 1, element(2, Parent), Widths),
    Now = Held#{Id => Value},
    case maps:get(Parent, Missing, length(Needed)) - 1 of
        0 when Job#job.checkpoint ->
            Ready = [{Parent, {names, Needed}} | Job#job.ready],
            Job#job{held = maps:without(Children, Now), missing = maps:remove(Parent, Missing), ready = Ready};
        0 ->
            Values = [maps:get(Child, Now) || Child <- Needed],
            Ready = [{Parent, {values, Values}} | Job#job.ready],
            Job#job{held = maps:without(Needed, Now), missing = maps:remove(Parent, Missing), ready = Ready};
        Left ->
            Rest = case Job#job.checkpoint of
                true -> maps:without(Children, Now);
                false -> Now
            end,
            Job#job{held = Rest, missing = Missing#{Parent => Left}}
    end.

children(0, _, _) -> [];
children(Level, I, Widths) ->
    Below = element(Level, Widths),
    Groups = element(Level + 1, Widths),
    [{Level - 1, C} || C <- lists:seq(I * Below div Groups, (I + 1) * Below div Groups - 1)].

widths(N) -> widths_above([(N + 3) div 4]).

widths_above([1 | _] = Widths) -> lists:reverse(Widths);
widths_above([W | _] = Widths) -> widths_above([(W + 3) div 4 | Widths]).

%% A worker. The checkpoint comes on the same link as the assignments, before them.

work(Held) ->
    receive
        {compute, From, Self, {Id, {values, Values}}} ->
            From ! {product, Self, Id, multiply(Values)},
            work(Held);
        {compute, From, Self, {Id, {names, Names}}} ->
            From ! {product, Self, Id, multiply([maps:get(Name, Held) || Name <- Names])},
            work(Held);
        {checkpoint, Id, Value, Covered} -> work(maps:without(Covered, Held#{Id => Value}));
        forget -> work(#{})
    end.

multiply([A, B, C, D]) -> (A * B) * (C * D);
multiply([A, B, C]) -> (A * B) * C;
multiply([A, B]) -> A * B;
multiply([A]) -> A.
