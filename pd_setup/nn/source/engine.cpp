#include "engine.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "loader.h"
#include "priority.h"
#include "state.h"

namespace nn {

// --- threads ---------------------------------------------------------------------------------------------------------

namespace {

// Owns the worker threads of all engines. A patch that deletes an object does not wait for its worker; the end of the
// process does, because no thread may run while libtorch is being torn down. Pd quits without deleting its objects, so
// that includes the workers of engines that still exist.
//
// Engines may be created and deleted in one thread while another ends the process: the mutex guards everything, and is
// never held while waiting for a worker that is still running.
class WorkerRegistry {
public:
    using Flag = std::shared_ptr<std::atomic<bool>>;

    static WorkerRegistry& instance() {
        static WorkerRegistry registry;
        return registry;
    }

    // `stop` asks the worker to return; the worker sets `done` last.
    void add(const void* engine, std::thread thread, std::function<void()> stop, Flag done) {
        std::lock_guard lock(mutex_);
        workers_.push_back({engine, std::move(thread), std::move(stop), std::move(done)});
    }

    // The engine is being deleted: stop its worker without waiting for it.
    void release(const void* engine) {
        std::lock_guard lock(mutex_);
        for (auto& worker : workers_)
            if (worker.engine == engine) {
                worker.stop();
                worker.engine = nullptr;
                worker.stop = nullptr;  // frees what it holds
            }
        join_done();
    }

    // Stops every worker and waits until all have returned, at most five seconds.
    void finish() {
        std::vector<Flag> flags;
        {
            std::lock_guard lock(mutex_);
            for (auto& worker : workers_) {
                if (worker.stop) worker.stop();
                flags.push_back(worker.done);
            }
        }
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        const auto all_done = [&flags] {
            return std::all_of(flags.begin(), flags.end(), [](auto& flag) { return flag->load(); });
        };
        while (!all_done() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        std::lock_guard lock(mutex_);
        join_done();
    }

    ~WorkerRegistry() {
        finish();
        std::lock_guard lock(mutex_);
        for (auto& worker : workers_) {
            if (worker.engine) worker.thread.detach();  // still busy after five seconds, and its engine still exists
            else worker.thread.join();
        }
    }

private:
    struct Worker {
        const void* engine;  // null once the engine is deleted
        std::thread thread;
        std::function<void()> stop;
        Flag done;
    };

    // Call with the mutex held. A worker that is done only has to return, so join() does not block.
    void join_done() {
        std::erase_if(workers_, [](Worker& worker) {
            if (!worker.done->load()) return false;
            worker.thread.join();
            return true;
        });
    }

    std::mutex mutex_;
    std::vector<Worker> workers_;
};

}  // namespace

Engine::Engine(bool batch) : batch_(batch), state_(std::make_shared<State>(batch)) {
    configure_thread(false);
    auto& registry = WorkerRegistry::instance();
    const auto done = std::make_shared<std::atomic<bool>>(false);
    std::thread worker([state = state_, done]() mutable {
        run_worker(*state);
        state.reset();  // where the object is gone already, this frees its models, and not Pd's thread
        done->store(true);
    });
    const auto stop = [state = std::weak_ptr(state_)] {
        if (const auto running = state.lock()) {
            running->stop.store(true);
            running->wake_worker();
        }
    };
    registry.add(this, std::move(worker), stop, done);
}

void Engine::finish_all() {
    Loader::instance().finish();
    WorkerRegistry::instance().finish();
}

Engine::~Engine() { WorkerRegistry::instance().release(this); }

void Engine::run_worker(State& state) {
    lower_worker_priority();
    configure_thread(true);
    for (;;) {
        const auto seen =
            state.wake.load(std::memory_order_acquire);  // load first: whatever is requested after this wakes us again
        if (state.stop.load()) return;
        std::function<void(State&)> command;
        {
            std::lock_guard lock(state.mutex);
            if (!state.commands.empty()) {
                command = std::move(state.commands.front());
                state.commands.pop_front();
            }
        }
        if (command) command(state);
        Session* session = state.active.load(std::memory_order_acquire);
        const bool worked = session && !session->synchronous && session->compute_next();
        if (command || worked) continue;
        state.free_retired();
        state.wake.wait(seen, std::memory_order_acquire);
    }
}

void Engine::drain() {
    Session* session = state_->active.load(std::memory_order_relaxed);
    if (batch_ && session) session->drain();
}

void Engine::on_loader(std::function<void(State&)> job) {
    drain();
    {
        std::lock_guard lock(state_->mutex);
        ++state_->jobs;
    }
    // Only the job owns the promise: if the job is dropped at the end of the process, the wait below still returns.
    auto finished = std::make_shared<std::promise<void>>();
    auto waiting = finished->get_future();
    Loader::instance().add([state = state_, job = std::move(job), finished = std::move(finished)] {
        try {
            if (!state->stop.load()) job(*state);
        } catch (const std::exception& error) {
            state->report(Event::error, std::string("the command failed: ") + error.what());
        } catch (...) {
            state->report(Event::error, "the command failed for an unknown reason");
        }
        {
            std::lock_guard lock(state->mutex);
            --state->jobs;
        }
        finished->set_value();
    });
    if (batch_) waiting.wait();
}

void Engine::on_worker(std::function<void(State&)> command) {
    drain();
    auto finished = std::make_shared<std::promise<void>>();
    auto waiting = finished->get_future();
    bool wait = batch_;
    {
        std::unique_lock lock(state_->mutex);
        if (state_->jobs > 0) {
            lock.unlock();
            return on_loader(std::move(command));
        }
        // With buffer 0 the callback runs the model, which must not be in use then.
        wait = wait || (state_->newest && state_->newest->synchronous);
        state_->commands.push_back([command = std::move(command), finished = std::move(finished)](State& state) {
            try {
                command(state);
            } catch (...) {
                state.report(Event::error, "the command failed for an unknown reason");
            }
            finished->set_value();
        });
    }
    state_->wake_worker();
    if (wait) waiting.wait();
}

// --- commands of the message thread --------------------------------------------------------------------------------

namespace {
constexpr const char* no_model = "there is no model: load one with the message 'load name.ts'";
}

bool Engine::open(const std::string& path, const std::string& method, int buffer, std::pair<int, int>& channels,
                  std::string& error) {
    std::shared_ptr<Model> model = load_model(path, error);
    if (!model) return false;
    for (const auto& note : model->info().notes) state_->report(Event::note, note);
    const Method& chosen = state_->find_method(model->info(), method);
    channels = {chosen.in_channels, chosen.out_channels};
    {
        std::lock_guard lock(state_->mutex);
        state_->path = path;
        state_->wanted_method = chosen.name;
        state_->wanted_buffer = buffer;
        state_->ins = channels.first;
        state_->outs = channels.second;
    }
    on_loader([model, name = chosen.name, buffer](State& state) { state.offer(model, name, buffer); });
    return true;
}

void Engine::set_channel_counts(int ins, int outs) {
    std::lock_guard lock(state_->mutex);
    state_->ins = ins;
    state_->outs = outs;
}

void Engine::load(const std::string& path) {
    on_loader([path](State& state) { state.load(path); });
}

void Engine::reload() {
    on_loader([](State& state) {
        std::string path;
        {
            std::lock_guard lock(state.mutex);
            path = state.path;
        }
        if (path.empty()) return state.report(Event::error, no_model);
        state.load(path);
    });
}

void Engine::choose_method(const std::string& name) {
    on_loader([name](State& state) {
        const auto session = state.latest();
        if (!session) return state.report(Event::error, no_model);
        const auto known = method_names(session->model->info().methods);
        if (std::find(known.begin(), known.end(), name) == known.end())
            return state.report(Event::error, "the model has no method '" + name + "'. It has: " + comma_separated(known));
        {
            std::lock_guard lock(state.mutex);
            state.wanted_method = name;
        }
        state.offer(session->model, name, session->requested);
        state.report_mismatches(*state.latest());
    });
}

void Engine::resize(int buffer) {
    on_loader([buffer](State& state) {
        {
            std::lock_guard lock(state.mutex);
            state.wanted_buffer = buffer;
        }
        if (const auto session = state.latest()) state.offer(session->model, session->method.name, buffer);
    });
}

void Engine::use_gpu(bool on) {
    on_loader([on](State& state) {
        const auto session = state.latest();
        if (!session) return state.report(Event::error, no_model);
        std::string error;
        Exclusive use(*session->model);
        if (!session->model->use_gpu(on, error)) state.report(Event::error, error);
    });
}

void Engine::set(const std::string& attribute, std::vector<Value> values) {
    on_worker([attribute, values = std::move(values)](State& state) {
        const auto session = state.latest();
        if (!session) return state.report(Event::error, no_model);
        std::string error;
        Exclusive use(*session->model);
        if (!session->model->set(attribute, values, error)) state.report(Event::error, error);
    });
}

void Engine::get(const std::string& attribute) {
    on_worker([attribute](State& state) {
        const auto session = state.latest();
        if (!session) return state.report(Event::error, no_model);
        state.report_attribute(*session->model, attribute);
    });
}

void Engine::dump() {
    on_worker([](State& state) {
        state.report_info();
        const auto session = state.latest();
        if (!session) return;
        for (const auto& attribute : session->model->info().attributes) state.report_attribute(*session->model, attribute);
    });
}

void Engine::info() {
    on_worker([](State& state) { state.report_info(); });
}

void Engine::print() {
    on_worker([](State& state) {
        const auto session = state.latest();
        if (!session) return state.report(Event::error, no_model);
        std::string path;
        {
            std::lock_guard lock(state.mutex);
            path = state.path;
        }
        const ModelInfo& info = session->model->info();
        state.report(Event::note, path + (info.sample_rate > 0 ? ", trained at " + format_number(info.sample_rate) + " Hz" : ""));
        for (const auto& m : info.methods) {
            state.report(Event::note, "  method " + m.name + ": " + std::to_string(m.in_channels) + " in (ratio " +
                                          std::to_string(m.in_ratio) + "), " + std::to_string(m.out_channels) + " out (ratio " +
                                          std::to_string(m.out_ratio) + ")" +
                                          (m.name == session->method.name ? ", playing" : ""));
        }
        for (const auto& attribute : info.attributes) state.report(Event::note, "  attribute " + attribute);
    });
}

bool Engine::poll(Event& event) {
    std::string reason;
    if (state_->failure.take(reason) && reason != last_failure_) {
        last_failure_ = reason;
        event = {Event::error, "the model failed, playing silence: " + reason, {}};
        return true;
    }
    std::unique_lock lock(state_->mutex, std::defer_lock);
    if (batch_) lock.lock();
    else if (!lock.try_lock()) return false;  // try again at the next poll
    if (state_->events.empty()) return false;
    event = std::move(state_->events.front());
    state_->events.pop_front();
    if (event.kind == Event::out && event.text == "model") {  // forget failures of the previous model
        state_->failure.take(last_failure_);
        last_failure_.clear();
    }
    return true;
}

const Meters& Engine::meters() const { return state_->meters; }

// --- the audio callback ----------------------------------------------------------------------------------------------

void Engine::restart(int block, double sample_rate) {
    const bool other_rate = state_->meters.sample_rate.exchange(sample_rate) != sample_rate;
    state_->block.store(block);
    block_ = block;
    if (Session* session = state_->active.load(std::memory_order_relaxed)) session->set_block_size(block);
    const auto session = state_->latest();
    if (session && !session->supports(block))
        on_loader([](State& state) {
            if (const auto now = state.latest()) state.offer(now->model, now->method.name, now->requested);
        });
    if (session && (other_rate || !rate_reported_)) state_->report_mismatches(*session);
    rate_reported_ = rate_reported_ || session;
}

void Engine::process(const float* const* in, int ins, float* const* out, int outs, int samples) noexcept {
    State& state = *state_;
    Session* session = state.active.load(std::memory_order_relaxed);
    if (state.offered.load(std::memory_order_relaxed)) {
        if (Session* fresh = state.offered.exchange(nullptr, std::memory_order_acq_rel)) {
            fresh->restart(block_);
            state.active.store(fresh, std::memory_order_release);
            if (session) session->retired.store(true, std::memory_order_release);
            session = fresh;
            state.wake_worker();
        }
    }
    const bool enabled = enabled_.load(std::memory_order_relaxed);
    if (session && enabled) {
        if (!was_enabled_) session->restart(block_);
        session->process(in, ins, out, outs, samples);
    } else {
        for (int channel = 0; channel < outs; ++channel) std::fill_n(out[channel], samples, 0.0f);
    }
    was_enabled_ = enabled;
}

}  // namespace nn
