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
// Engines may be made and deleted in one thread while another ends the process: everything is under the mutex, which
// is never held while waiting for a worker that is still running.
class WorkerRegistry {
public:
    using Flag = std::shared_ptr<std::atomic<bool>>;

    static WorkerRegistry& instance() {
        static WorkerRegistry registry;
        return registry;
    }

    // `stop` asks the worker to return, `done` becomes true as the last thing that it does.
    void add(const void* engine, std::thread thread, std::function<void()> stop, Flag done) {
        std::lock_guard lock(mutex_);
        workers_.push_back({engine, std::move(thread), std::move(stop), std::move(done)});
    }

    // The engine is being deleted: its worker stops in its own time.
    void release(const void* engine) {
        std::lock_guard lock(mutex_);
        for (auto& worker : workers_)
            if (worker.engine == engine) {
                worker.stop();
                worker.engine = nullptr;
                worker.stop = nullptr;  // lets go of what it holds
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
        const void* engine;  // null once it is deleted
        std::thread thread;
        std::function<void()> stop;
        Flag done;
    };

    // With the mutex held. A worker that is done has nothing left to do, so join() returns at once.
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
    prepare_thread(false);
    auto& registry = WorkerRegistry::instance();
    const auto done = std::make_shared<std::atomic<bool>>(false);
    std::thread worker([state = state_, done]() mutable {
        work(*state);
        state.reset();  // the models are freed here, not in the thread that deletes the object
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

void Engine::work(State& state) {
    less_urgent_than_audio();
    prepare_thread(true);
    for (;;) {
        const auto seen = state.wake.load(std::memory_order_acquire);  // first: what is asked for after this wakes again
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
        const bool worked = session && !session->inside && session->work();
        if (command || worked) continue;
        state.sweep();
        state.wake.wait(seen, std::memory_order_acquire);
    }
}

void Engine::settle() {
    Session* session = state_->active.load(std::memory_order_relaxed);
    if (batch_ && session) session->drain();
}

void Engine::later(std::function<void(State&)> job) {
    settle();
    {
        std::lock_guard lock(state_->mutex);
        ++state_->jobs;
    }
    // The job alone owns the promise: if it is dropped because the process ends, the wait below returns all the same.
    auto finished = std::make_shared<std::promise<void>>();
    auto waiting = finished->get_future();
    Loader::instance().add([state = state_, job = std::move(job), finished = std::move(finished)] {
        try {
            if (!state->stop.load()) job(*state);
        } catch (const std::exception& error) {
            state->tell(Event::error, std::string("could not do that: ") + error.what());
        } catch (...) {
            state->tell(Event::error, "could not do that, for an unknown reason");
        }
        {
            std::lock_guard lock(state->mutex);
            --state->jobs;
        }
        finished->set_value();
    });
    if (batch_) waiting.wait();
}

void Engine::soon(std::function<void(State&)> command) {
    settle();
    auto finished = std::make_shared<std::promise<void>>();
    auto waiting = finished->get_future();
    bool wait = batch_;
    {
        std::unique_lock lock(state_->mutex);
        if (state_->jobs > 0) {
            lock.unlock();
            return later(std::move(command));
        }
        // With buffer 0 the callback runs the model, and must not find it in use.
        wait = wait || (state_->newest && state_->newest->inside);
        state_->commands.push_back([command = std::move(command), finished = std::move(finished)](State& state) {
            try {
                command(state);
            } catch (...) {
                state.tell(Event::error, "could not do that, for an unknown reason");
            }
            finished->set_value();
        });
    }
    state_->wake_worker();
    if (wait) waiting.wait();
}

// --- what the message thread asks for --------------------------------------------------------------------------------

namespace {
constexpr const char* no_model = "there is no model: load one with the message 'load name.ts'";
}

bool Engine::open(const std::string& path, const std::string& method, int buffer, std::pair<int, int>& channels,
                  std::string& error) {
    std::shared_ptr<Model> model = load_model(path, error);
    if (!model) return false;
    for (const auto& note : model->info().notes) state_->tell(Event::note, note);
    const Method& chosen = state_->find(model->info(), method);
    channels = {chosen.in_channels, chosen.out_channels};
    {
        std::lock_guard lock(state_->mutex);
        state_->path = path;
        state_->wanted_method = chosen.name;
        state_->wanted_buffer = buffer;
        state_->ins = channels.first;
        state_->outs = channels.second;
    }
    later([model, name = chosen.name, buffer](State& state) { state.offer(model, name, buffer); });
    return true;
}

void Engine::tell_channels(int ins, int outs) {
    std::lock_guard lock(state_->mutex);
    state_->ins = ins;
    state_->outs = outs;
}

void Engine::load(const std::string& path) {
    later([path](State& state) { state.load(path); });
}

void Engine::reload() {
    later([](State& state) {
        std::string path;
        {
            std::lock_guard lock(state.mutex);
            path = state.path;
        }
        if (path.empty()) return state.tell(Event::error, no_model);
        state.load(path);
    });
}

void Engine::choose_method(const std::string& name) {
    later([name](State& state) {
        const auto session = state.latest();
        if (!session) return state.tell(Event::error, no_model);
        const auto known = names(session->model->info().methods);
        if (std::find(known.begin(), known.end(), name) == known.end())
            return state.tell(Event::error, "the model has no method '" + name + "'. It has: " + joined(known));
        {
            std::lock_guard lock(state.mutex);
            state.wanted_method = name;
        }
        state.offer(session->model, name, session->asked);
        state.check(*state.latest());
    });
}

void Engine::resize(int buffer) {
    later([buffer](State& state) {
        {
            std::lock_guard lock(state.mutex);
            state.wanted_buffer = buffer;
        }
        if (const auto session = state.latest()) state.offer(session->model, session->method.name, buffer);
    });
}

void Engine::use_gpu(bool on) {
    later([on](State& state) {
        const auto session = state.latest();
        if (!session) return state.tell(Event::error, no_model);
        std::string error;
        Exclusive use(*session->model);
        if (!session->model->use_gpu(on, error)) state.tell(Event::error, error);
    });
}

void Engine::set(const std::string& attribute, std::vector<Value> values) {
    soon([attribute, values = std::move(values)](State& state) {
        const auto session = state.latest();
        if (!session) return state.tell(Event::error, no_model);
        std::string error;
        Exclusive use(*session->model);
        if (!session->model->set(attribute, values, error)) state.tell(Event::error, error);
    });
}

void Engine::get(const std::string& attribute) {
    soon([attribute](State& state) {
        const auto session = state.latest();
        if (!session) return state.tell(Event::error, no_model);
        state.tell_value(*session->model, attribute);
    });
}

void Engine::dump() {
    soon([](State& state) {
        state.tell_info();
        const auto session = state.latest();
        if (!session) return;
        for (const auto& attribute : session->model->info().attributes) state.tell_value(*session->model, attribute);
    });
}

void Engine::info() {
    soon([](State& state) { state.tell_info(); });
}

void Engine::print() {
    soon([](State& state) {
        const auto session = state.latest();
        if (!session) return state.tell(Event::error, no_model);
        std::string path;
        {
            std::lock_guard lock(state.mutex);
            path = state.path;
        }
        const ModelInfo& info = session->model->info();
        state.tell(Event::note, path + (info.sample_rate > 0 ? ", made at " + number(info.sample_rate) + " Hz" : ""));
        for (const auto& m : info.methods) {
            state.tell(Event::note, "  method " + m.name + ": " + std::to_string(m.in_channels) + " in (ratio " +
                                        std::to_string(m.in_ratio) + "), " + std::to_string(m.out_channels) + " out (ratio " +
                                        std::to_string(m.out_ratio) + ")" + (m.name == session->method.name ? ", playing" : ""));
        }
        for (const auto& attribute : info.attributes) state.tell(Event::note, "  attribute " + attribute);
    });
}

bool Engine::poll(Event& event) {
    std::string reason;
    if (state_->failure.take(reason) && reason != last_failure_) {
        last_failure_ = reason;
        event = {Event::error, "the model failed, silence is played: " + reason, {}};
        return true;
    }
    std::unique_lock lock(state_->mutex, std::defer_lock);
    if (batch_) lock.lock();
    else if (!lock.try_lock()) return false;  // the next time
    if (state_->events.empty()) return false;
    event = std::move(state_->events.front());
    state_->events.pop_front();
    if (event.kind == Event::out && event.text == "model") {  // what the last one did is no longer of interest
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
    if (Session* session = state_->active.load(std::memory_order_relaxed)) session->fit(block);
    const auto session = state_->latest();
    if (session && !session->fits(block))
        later([](State& state) {
            if (const auto now = state.latest()) state.offer(now->model, now->method.name, now->asked);
        });
    if (session && (other_rate || !told_rate_)) state_->check(*session);
    told_rate_ = told_rate_ || session;
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
