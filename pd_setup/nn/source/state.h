// What the object, its worker and jobs of the loader share, and what is done with it away from the audio callback.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine.h"

namespace nn {

std::string number(double value);  // as Pd would show it
std::string joined(const std::vector<std::string>& words);
std::vector<std::string> names(const std::vector<Method>& methods);

// Lives as long as any of them needs it.
struct Engine::State : Common {
    using Common::Common;

    std::atomic<bool> stop{false};
    std::atomic<int> block{64};
    std::atomic<Session*> offered{nullptr};  // ready, not yet taken by the audio callback
    std::atomic<Session*> active{nullptr};   // changed by the audio callback alone

    std::mutex mutex;  // for what follows; never taken by the audio callback
    std::vector<std::shared_ptr<Session>> sessions;  // alive; only the worker removes, so what it looks at stays
    std::shared_ptr<Session> newest;
    std::string path;
    std::string wanted_method = "forward";
    int wanted_buffer = 4096;
    int ins = 1, outs = 1;  // signals of the object
    int jobs = 0;           // of this object, with the loader
    std::deque<std::function<void(State&)>> commands;
    std::deque<Event> events;

    void tell(Event::Kind kind, std::string text, std::vector<Value> values = {}) {
        std::lock_guard lock(mutex);
        if (events.size() < 1000) events.push_back({kind, std::move(text), std::move(values)});
    }
    std::shared_ptr<Session> latest() {
        std::lock_guard lock(mutex);
        return newest;
    }

    const Method& find(const ModelInfo& info, const std::string& name);
    void offer(const std::shared_ptr<Model>& model, const std::string& method_name, int asked);
    void load(const std::string& file);
    void sweep();
    void check(const Session& session);
    void tell_info();
    void tell_value(Model& model, const std::string& attribute);
};

}  // namespace nn
